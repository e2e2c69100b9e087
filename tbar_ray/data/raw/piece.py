"""One shard of raw samples: written whole or not at all, with what it lost beside it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tbar_ray.data.benchmark_layout import Policy
from tbar_ray.data.images import decode_image
from tbar_ray.data.raw.samples import RawSamples
from tbar_ray.data.shard_writer import Member, statistics, unwritable, write_tar
from tbar_ray.errors import DataError

SUCCESS, UNREADABLE, NO_CAPTION, EXCLUDED = "success", "unreadable", "no caption", "in the other set"
"""What became of a sample."""


class Loss(NamedTuple):
    """A sample that is in no shard: its key, what became of it, and why."""

    key: str
    status: str
    reason: str

    def __str__(self) -> str:
        return f"{self.key}: {self.reason}"


@dataclass(frozen=True)
class Written:
    """A shard that is there.

    Attributes:
        count: samples that were to be in it.
        bytes: its size.
        lost: those that are not.
    """

    count: int
    bytes: int
    lost: tuple[Loss, ...]

    @property
    def samples(self) -> int:
        """Samples that are in it."""
        return self.count - len(self.lost)

    def with_lost(self, other: Written) -> Written:
        """This and another one, of which one is empty, as one."""
        return Written(self.count + other.count, max(self.bytes, other.bytes), self.lost + other.lost)


@dataclass(frozen=True)
class Piece:
    """A shard to write.

    Attributes:
        path: the tar.
        samples: all that go into it.
        labels: class numbers, one a sample: images and classes are written; None: images, captions and metadata.
        policy: what an unreadable sample does: it is an error, or left out and named.
        excluded: SHA-256 of images that may not be in it.
    """

    path: Path
    samples: RawSamples
    labels: tuple[int, ...] | None
    policy: Policy
    excluded: frozenset[bytes]

    @property
    def statistics(self) -> Path:
        """img2dataset's `NNNNN_stats.json` beside the shard; it is written last."""
        return self.path.with_name(f"{self.path.stem}_stats.json")

    @property
    def first(self) -> str:
        """Key of the first sample that goes into it."""
        return self.samples.keys[0]

    def written(self) -> Written | None:
        """The shard, if an earlier run has finished it; not an empty one, nor one that moved up in its place."""
        try:
            told = json.loads(self.statistics.read_bytes())
            found = Written(told["count"], self.path.stat().st_size, tuple(Loss(*loss) for loss in told["lost"]))
            is_this = (found.count, told.get("first", self.first)) == (len(self.samples), self.first)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return found if found.samples and is_this else None

    def tell(self, written: Written, first: str) -> None:
        """Write the statistics of samples that start with a key.

        Raises:
            OSError: if they cannot be written.
        """
        counts = Counter({SUCCESS: written.samples}) + Counter(loss.status for loss in written.lost)
        told = statistics(written.count, counts, failed=counts[UNREADABLE], lost=written.lost, first=first)
        part = self.statistics.with_name(f".{self.statistics.name}.tmp")
        part.write_text(told)
        part.replace(self.statistics)


def write_piece(piece: Piece) -> Written:
    """Write a shard, then its statistics.

    Raises:
        DataError: if a sample is unreadable, under "error", or the shard cannot be written.
    """
    lost: list[Loss] = []
    try:
        write_tar(piece.path, _members(piece, lost))
        written = Written(len(piece.samples), piece.path.stat().st_size, tuple(lost))
        piece.tell(written, piece.first)
        return written
    except OSError as error:
        raise unwritable(piece.path, error) from error


def _members(piece: Piece, lost: list[Loss]) -> Iterator[Member]:
    """Members of the samples that are sound; the others are added to `lost`."""
    for position, key in enumerate(piece.samples.keys):
        found = _sample(piece, position)
        if isinstance(found, Loss):
            if piece.policy == "error" and found.status != EXCLUDED:
                raise DataError(f"{piece.samples.place}: {found}")
            lost.append(found)
            continue
        yield from ((f"{key}.{extension}", content) for extension, content in found.items())


def _sample(piece: Piece, position: int) -> dict[str, bytes] | Loss:
    samples, key = piece.samples, piece.samples.keys[position]
    try:
        image = samples.image_bytes(position)
        height, width = decode_image(image).shape[:2]
    except DataError as error:
        return Loss(key, UNREADABLE, str(error))
    if (extension := image_extension(image)) is None:
        return Loss(key, UNREADABLE, f"{samples.named(position)} is neither JPEG nor PNG nor WebP; convert it")
    digest = hashlib.sha256(image)
    if digest.digest() in piece.excluded:
        return Loss(key, EXCLUDED, "the other set has the same image")
    if piece.labels is not None:
        return {"cls": str(piece.labels[position]).encode(), extension: image}
    if (caption := samples.caption(position)) is None:
        return Loss(key, NO_CAPTION, "no caption")
    about: dict[str, Any] = {
        **samples.metadata(position),
        "key": key,
        "caption": caption,
        "status": SUCCESS,
        "width": width,
        "height": height,
        "sha256": digest.hexdigest(),
    }
    return {extension: image, "txt": caption.encode(), "json": json.dumps(about, ensure_ascii=False).encode()}


def image_extension(image: bytes) -> str | None:
    """Extension of an image in a shard, by its content, since names of files may be wrong; None for other formats."""
    if image.startswith(b"\xff\xd8\xff"):
        return "jpg"
    if image.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    return "webp" if image[:4] == b"RIFF" and image[8:12] == b"WEBP" else None
