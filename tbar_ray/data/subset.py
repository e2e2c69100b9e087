"""Subsets of a corpus, named by key, in a file that can be shared: "500,000 pairs of CC3M" means the same to everybody.

A manifest names every key, since a copy of the corpus that lacks some would otherwise be given others in their place.
"""

from __future__ import annotations

import base64
import hashlib
import json
import lzma
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import fsspec
import numpy as np
from numpy.typing import NDArray

from tbar_ray.data.corpus import Corpus
from tbar_ray.data.places import resolve
from tbar_ray.data.selection import evenly_spaced, ranked
from tbar_ray.data.shard_writer import unwritable
from tbar_ray.data.shards import ShardProblem
from tbar_ray.errors import DataError, one_line
from tbar_ray.redaction import redact

FORMAT, VERSION = "subset of a WebDataset corpus", 1
LISTED = 1000
"""Up to so many keys are a list that can be read; more are packed: 500,000 keys take 0.5 MB instead of 6."""
PROBED = 64
"""Samples whose captions are compared, by hash: a key of another corpus is known by its caption."""
PURPOSE = "subset"


class Source(NamedTuple):
    """The corpus that a subset was chosen from: number of its samples and shards, and SHA-256 of its sorted keys."""

    samples: int
    shards: int
    keys_sha256: str


class Found(NamedTuple):
    """A subset in somebody's corpus.

    Attributes:
        positions: of the samples that are there, ascending, int64 [n].
        missing: keys that are not there, sorted.
    """

    positions: NDArray[np.int64]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Subset:
    """Keys of a corpus.

    Attributes:
        keys: sorted.
        seed: of the choice.
        source: what they were chosen from.
        captions: hashes of some samples' captions, by key.
    """

    keys: tuple[str, ...]
    seed: int
    source: Source
    captions: Mapping[str, str]

    @classmethod
    def choose(cls, corpus: Corpus, samples: int, seed: int) -> Subset:
        """Choose samples by (seed, key): the order of the corpus and its division into shards do not matter.

        With one seed, a smaller subset is part of a larger one.

        Raises:
            DataError: if the corpus has fewer samples.
        """
        if not 1 <= samples <= len(corpus):
            raise DataError(f"{samples} samples asked for, but the corpus has {len(corpus)}")
        names = [corpus.name(position) for position in range(len(corpus))]
        return cls._of(corpus, sorted(ranked(names, seed, PURPOSE)[:samples]), seed, _source(corpus, names))

    @classmethod
    def _of(cls, corpus: Corpus, keys: list[str], seed: int, source: Source) -> Subset:
        probes = [keys[place] for place in evenly_spaced(len(keys), PROBED)]
        position = _positions(corpus)
        return cls(tuple(keys), seed, source, {key: _caption_hash(corpus, position[key]) for key in probes})

    def within(self, corpus: Corpus, found: Found) -> Subset:
        """The part of it that was found in a corpus, as a subset of its own."""
        return self._of(corpus, sorted(corpus.name(p) for p in found.positions.tolist()), self.seed, self.source)

    def find(self, corpus: Corpus) -> Found:
        """Look its keys up in a corpus.

        Raises:
            DataError: if none of them is there, or most captions that are compared are others: the corpus is not the
                one that the manifest is of.
        """
        position = _positions(corpus)
        missing = tuple(key for key in self.keys if key not in position)
        if len(missing) == len(self.keys):
            raise DataError(
                f"none of the {len(self.keys)} keys is in the corpus, so the manifest is of another one; its first key "
                f"is {self.keys[0]!r}, the corpus's {corpus.name(0)!r}"
            )
        probed = [key for key in self.captions if key in position]
        others = [key for key in probed if _caption_hash(corpus, position[key]) != self.captions[key]]
        if 2 * len(others) > len(probed):
            raise DataError(
                f"{len(others)} of {len(probed)} captions that were compared are others (first: sample {others[0]!r}), "
                f"so the manifest is of another corpus"
            )
        there = sorted(position[key] for key in self.keys if key in position)
        return Found(np.array(there, np.int64), missing)

    def of(self, corpus: Corpus, place: str, policy: str) -> Corpus:
        """The samples of a corpus that it names.

        Args:
            corpus: that it was chosen from, or somebody's copy.
            place: of the manifest, for messages.
            policy: what missing samples do: "error", or the corpus's `problems` tell how many there are.

        Raises:
            DataError: as `find`, or if samples are missing, under "error".
        """
        found = self.find(corpus)
        chosen = corpus.at(found.positions)
        if found.missing:
            first = ", ".join(found.missing[:3])
            lost = ShardProblem(
                redact(place), None, f"{len(found.missing)} of {len(self.keys)} samples are not in the corpus: {first}"
            )
            if policy == "error":
                raise DataError(str(lost))
            chosen.problems = (*chosen.problems, lost)
        return chosen

    def is_whole(self, corpus: Corpus) -> bool:
        """Whether a corpus has the keys of the source, no more and no less."""
        return _source(corpus, _positions(corpus)).keys_sha256 == self.source.keys_sha256

    @property
    def digest(self) -> str:
        """SHA-256 of the keys: what identifies the subset."""
        return keys_sha256(self.keys)

    def to_dict(self) -> dict[str, Any]:
        """Content of a manifest."""
        packed = len(self.keys) > LISTED
        keys: Any = _pack(self.keys) if packed else list(self.keys)
        return {
            "format": FORMAT,
            "version": VERSION,
            "samples": len(self.keys),
            "seed": self.seed,
            "source": self.source._asdict(),
            "sha256": self.digest,
            "captions": dict(self.captions),
            "packed" if packed else "keys": keys,
        }


def write_subset(subset: Subset, file: Path) -> None:
    """Write a manifest; the same subset gives the same bytes.

    Raises:
        DataError: if it cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(subset.to_dict(), indent=1) + "\n")
    except OSError as error:
        raise unwritable(file, error) from error


def read_subset(place: str | Path) -> Subset:
    """Read a manifest from a file or URL.

    Raises:
        DataError: if there is none, it is something else, of a newer version, or damaged.
    """
    url, shown = resolve(place), redact(str(place))
    try:
        system, path = fsspec.core.url_to_fs(url)
        content = json.loads(system.cat_file(path))
    except (ValueError, UnicodeDecodeError):
        raise DataError(f"{shown} is no manifest of a subset: not JSON; `tbar data select` writes one") from None
    except Exception as error:  # object-store clients raise many kinds of exception
        raise DataError(f"cannot read {shown}: {one_line(error)}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise DataError(f"{shown} is no manifest of a subset; `tbar data select` writes one")
    if content.get("version") != VERSION:
        raise DataError(f"{shown} has version {content.get('version')}, not {VERSION}: install a newer tbar-ray")
    try:
        keys = tuple(content["keys"]) if "keys" in content else _unpack(content["packed"])
        subset = Subset(keys, content["seed"], Source(**content["source"]), content["captions"])
    except (KeyError, TypeError, ValueError, lzma.LZMAError) as error:
        raise DataError(f"{shown} is damaged: {error}") from None
    if len(keys) != content.get("samples") or subset.digest != content.get("sha256"):
        raise DataError(f"{shown} is damaged: its keys are not those that it was written with")
    return subset


def keys_sha256(keys: Iterable[str]) -> str:
    """SHA-256 of keys, whatever their order."""
    return hashlib.sha256("\n".join(sorted(keys)).encode()).hexdigest()


def _source(corpus: Corpus, names: Iterable[str]) -> Source:
    return Source(len(corpus), len(corpus.shard_urls), keys_sha256(names))


def _positions(corpus: Corpus) -> dict[str, int]:
    return {corpus.name(position): position for position in range(len(corpus))}


def _caption_hash(corpus: Corpus, position: int) -> str:
    """Images are resized and encoded anew by whoever downloads them; captions stay."""
    return hashlib.sha256((corpus.caption(position) or "").encode()).hexdigest()[:16]


def _pack(keys: Iterable[str]) -> str:
    return base64.b64encode(lzma.compress("\n".join(keys).encode())).decode()


def _unpack(packed: str) -> tuple[str, ...]:
    return tuple(lzma.decompress(base64.b64decode(packed, validate=True)).decode().split("\n"))
