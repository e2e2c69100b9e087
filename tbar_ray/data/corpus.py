"""A corpus: many WebDataset shards as one ordered, randomly readable sequence of samples."""

from __future__ import annotations

import hashlib
import json
import mmap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tbar_ray.data.cache import default_cache
from tbar_ray.data.download import indexed
from tbar_ray.data.keys import within
from tbar_ray.data.locate import ShardState, expand_shards, shard_state
from tbar_ray.data.members import (
    IMAGE_EXTENSIONS,
    parse_caption,
    parse_class_index,
    parse_metadata,
    select_samples,
    stacked_spans,
)
from tbar_ray.data.open_shards import OpenShards
from tbar_ray.data.shards import ShardProblem
from tbar_ray.errors import DataError
from tbar_ray.seeding import stable_hash

SIGNED = 8  # images that a signature reads: sets of plain images of one size may agree in all sizes


class Corpus:
    """Samples of many shards in one global order: by shard, then by position within the shard.

    Pickling keeps the index and drops the open files, so sending a corpus to an actor is cheap. The actor opens the
    shards (downloading remote ones to its own disk) on first read. Reading is thread-safe.

    Attributes:
        keys: The samples' keys, unique over the corpus; they begin with the namespace, if it has one.
        namespace: What distinguishes its keys from those of other sets; '' if nothing does.
        shard_urls: The shards, as `expand_shards` returns them.
        problems: Lost or dropped samples and members, in shard order; not what is only packed in an odd order, which
            `check.check_corpus` tells.
        states: What the shards were when they were indexed; None for a remote one.
    """

    keys: Sequence[str]
    shard_urls: tuple[str, ...]
    problems: tuple[ShardProblem, ...]
    states: tuple[ShardState | None, ...]
    namespace: str = ""
    _open: OpenShards
    _rows: dict[str, int] | None

    def __init__(
        self,
        shard_urls: Sequence[str],
        keys: Sequence[str],
        shard_of: NDArray[np.int32],
        spans: Mapping[str, NDArray[np.int64]],
        problems: Sequence[ShardProblem],
        cache: Path,
        states: Sequence[ShardState | None] = (),
    ) -> None:
        self.shard_urls, self.keys, self.problems = tuple(shard_urls), tuple(keys), tuple(problems)
        self._shard_of, self._spans, self._cache = shard_of, dict(spans), cache
        self.states = tuple(states) or (None,) * len(self.shard_urls)
        self._reset()

    @classmethod
    def open(
        cls,
        url: str | Sequence[str],
        *,
        cache: Path | None = None,
        policy: Literal["error", "warn"] = "warn",
    ) -> Corpus:
        """Index every shard that `url` names.

        Args:
            url: As for `expand_shards`.
            cache: Folder for downloads of remote shards; default `default_cache()`.
            policy: "error" raises at the first problem; "warn" collects problems and keeps the readable samples.

        Raises:
            DataError: A shard is missing or unreadable, there is no sample, or there is a problem under "error".
        """
        urls, folder = expand_shards(url), cache or default_cache()
        states = [shard_state(shard) for shard in urls]  # before they are indexed: a change meanwhile shows
        seen: set[str] = set()
        keys: list[str] = []
        problems: list[ShardProblem] = []
        counts: list[int] = []
        columns: list[Mapping[str, NDArray[np.int64]]] = []
        for shard in urls:
            index = indexed(shard, folder)
            kept, found = select_samples(index, seen)
            lost = [problem for problem in found if not problem.lossless]
            if lost and policy == "error":
                raise DataError(str(lost[0]))
            problems.extend(lost)
            keys.extend(index.keys[row] for row in kept)
            counts.append(len(kept))
            columns.append({extension: span[kept] for extension, span in index.spans.items()})
        if not keys:
            named = url if isinstance(url, str) else ", ".join(url)
            because = f" (first problem: {problems[0]})" if problems else ""
            raise DataError(f"no sample with an image in {named}{because}")
        shard_of = np.repeat(np.arange(len(urls), dtype=np.int32), counts)
        return cls(urls, keys, shard_of, stacked_spans(columns, counts), problems, folder, states)

    @classmethod
    def joined(cls, parts: Sequence[Corpus]) -> Corpus:
        """Concatenate corpora; the keys of part n become `n/key`, since corpora may share keys."""
        if len(parts) == 1:
            return parts[0]
        firsts = np.cumsum([0, *(len(part.shard_urls) for part in parts)])
        shard_of = [part._shard_of + first for part, first in zip(parts, firsts, strict=False)]
        return cls(
            [url for part in parts for url in part.shard_urls],
            [f"{number}/{key}" for number, part in enumerate(parts) for key in part.keys],
            np.concatenate(shard_of).astype(np.int32),
            stacked_spans([part._spans for part in parts], [len(part) for part in parts]),
            [problem for part in parts for problem in part.problems],
            parts[0]._cache,
            [state for part in parts for state in part.states],
        )

    def within(self, namespace: str) -> Corpus:
        """The same samples, in the same order, with keys in a namespace."""
        keys = [within(namespace, key) for key in self.keys]
        other = Corpus(self.shard_urls, keys, self._shard_of, self._spans, self.problems, self._cache, self.states)
        other.namespace = namespace
        return other

    def at(self, positions: NDArray[np.int64]) -> Corpus:
        """The samples at these positions, in this order, with the keys that they have."""
        keys = [self.keys[position] for position in positions.tolist()]
        spans = {extension: span[positions] for extension, span in self._spans.items()}
        shard_of, problems = self._shard_of[positions], self.problems
        other = Corpus(self.shard_urls, keys, shard_of, spans, problems, self._cache, self.states)
        other.namespace = self.namespace
        return other

    def signature(self) -> str:
        """Eight digits that tell one set from another: a hash of the sizes of all files and of a few images.

        Independent of where the shards lie and of the order of samples.

        Raises:
            DataError: A shard cannot be read.
        """
        parts: list[int | str] = []
        for extension, span in sorted(self._spans.items()):
            sizes = span[span[:, 0] >= 0, 1].astype(np.uint64)  # sums wrap at 2⁶⁴, which is as good for a hash
            parts += [extension, len(sizes), int(sizes.sum()), int((sizes * sizes).sum())]
        order = sorted(range(len(self)), key=self.name)
        for place in np.linspace(0, len(self) - 1, min(len(self), SIGNED), dtype=np.int64).tolist():
            parts.append(hashlib.blake2b(self.image_bytes(order[place])).hexdigest())
        return f"{stable_hash(*parts):016x}"[-8:]

    def __len__(self) -> int:
        return len(self.keys)

    def name(self, i: int) -> str:
        """Key of sample `i` as its shard has it, without the namespace."""
        return self.keys[i].removeprefix(within(self.namespace, ""))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in {"_open", "_rows"}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._reset()

    def shard_index(self, i: int) -> int:
        """Position in `shard_urls` of sample `i`'s shard."""
        return int(self._shard_of[i])

    def shards(self, positions: NDArray[np.int64]) -> NDArray[np.int32]:
        """Positions in `shard_urls` of the samples' shards, int32 [n]."""
        return self._shard_of[positions]

    def has(self, i: int, extension: str) -> bool:
        """Whether sample `i` has a member with `extension`."""
        span = self._spans.get(extension)
        return span is not None and bool(span[i, 0] >= 0)

    def image_extension(self, i: int) -> str:
        """Extension of sample `i`'s image: the first of `IMAGE_EXTENSIONS` that it has."""
        for extension in IMAGE_EXTENSIONS:
            if self.has(i, extension):
                return extension
        raise DataError(f"{self.name(i)}: no image")  # only in a corpus built by hand: select_samples drops these

    def read(self, i: int, extension: str) -> bytes:
        """Read one member of sample `i`.

        Raises:
            DataError: The sample has no such member.
            ShardChangedError: Its shard changed since it was indexed.
        """
        if not self.has(i, extension):
            raise DataError(f"{self.name(i)}: no .{extension} in {self.shard_urls[self.shard_index(i)]}")
        offset, size = (int(value) for value in self._spans[extension][i])
        data = self._open.get(self.shard_index(i))[offset : offset + size]
        if len(data) != size:
            raise self._open.changed(self.shard_index(i))
        return data

    def image_sizes(self) -> NDArray[np.int64]:
        """Bytes of every sample's image, int64 [N]; nothing is read."""
        sizes = np.zeros(len(self), np.int64)
        for extension in reversed(IMAGE_EXTENSIONS):
            if (span := self._spans.get(extension)) is not None:
                sizes = np.where(span[:, 0] >= 0, span[:, 1], sizes)
        return sizes

    def image_bytes(self, i: int) -> bytes:
        """Encoded image bytes of sample `i`."""
        return self.read(i, self.image_extension(i))

    def files(self, positions: NDArray[np.int64], extensions: Sequence[str]) -> list[bytes | None]:
        """For each position, read the first member found among `extensions`; None if there is none.

        Equivalent to `read` sample by sample, but much cheaper for a batch.

        Raises:
            DataError: A shard cannot be read.
            ShardChangedError: A shard changed since it was indexed.
        """
        found = np.full((len(positions), 2), -1, np.int64)
        for extension in reversed(extensions):
            if (span := self._spans.get(extension)) is not None:
                there = span[positions]
                found = np.where(there[:, :1] >= 0, there, found)
        files: list[bytes | None] = []
        maps: dict[int, mmap.mmap] = {}
        for (offset, size), shard in zip(found.tolist(), self._shard_of[positions].tolist(), strict=True):
            if offset < 0:
                files.append(None)
                continue
            if (data := maps.get(shard)) is None:
                data = maps[shard] = self._open.get(shard)
            files.append(data[offset : offset + size])
            if len(files[-1] or b"") != size:
                raise self._open.changed(shard)
        return files

    def check_unchanged(self, i: int | None = None) -> None:
        """Look whether the shard of sample `i`, or any shard, is still what it was when it was indexed.

        Raises:
            ShardChangedError: One is not.
        """
        for shard in range(len(self.shard_urls)) if i is None else (self.shard_index(i),):
            self._open.check_unchanged(shard)

    def state_of(self, urls: Iterable[str]) -> dict[str, ShardState | None]:
        """What some of the shards were when they were indexed."""
        wanted = set(urls)
        return {url: state for url, state in zip(self.shard_urls, self.states, strict=True) if url in wanted}

    @property
    def source(self) -> str:
        """16 hex digits that change with the shards, their sizes and the times of their last changes."""
        content = json.dumps([self.shard_urls, self.states])
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def caption(self, i: int) -> str | None:
        """Caption of sample `i`, from its .txt, else from its metadata; None if absent or blank."""
        return parse_caption(self._optional(i, "txt"), self._optional(i, "json"))

    def metadata(self, i: int) -> dict[str, Any]:
        """Metadata (.json) of sample `i`; empty if it has none.

        Raises:
            DataError: The member is not a JSON object.
        """
        raw = self._optional(i, "json")
        if raw is None:
            return {}
        parsed = parse_metadata(raw)
        if parsed is None:
            raise DataError(f"{self.name(i)}.json in {self.shard_urls[self.shard_index(i)]} is not a JSON object")
        return parsed

    def label(self, i: int) -> str | None:
        """The "label" entry of sample `i`'s metadata, or None."""
        value = self.metadata(i).get("label")
        return None if value is None else str(value)

    def class_index(self, i: int) -> int | None:
        """Class index in sample `i`'s .cls, or None if it has none.

        Raises:
            DataError: The member is not an integer.
        """
        raw = self._optional(i, "cls")
        if raw is None:
            return None
        if (index := parse_class_index(raw)) is None:
            where = self.shard_urls[self.shard_index(i)]
            raise DataError(f"{self.name(i)}.cls in {where} is not a class index: {raw[:40]!r}")
        return index

    def index_of(self, key: str) -> int:
        """Position of `key` in the corpus; the look-up table is built at the first call.

        Raises:
            DataError: No sample has that key.
        """
        if self._rows is None:
            self._rows = {name: row for row, name in enumerate(self.keys)}
        try:
            return self._rows[key]
        except KeyError as error:
            raise DataError(f"no sample {key!r} in the corpus") from error

    def _optional(self, i: int, extension: str) -> bytes | None:
        return self.read(i, extension) if self.has(i, extension) else None

    def _reset(self) -> None:
        self._open, self._rows = OpenShards(self.shard_urls, self.states, self._cache), None
