"""How the procedural data sets are written; the options that all their writers share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tbar_ray.data.synthetic.encode import ImageFormat
from tbar_ray.errors import DataError

MIN_SIZE: Final = 16
MAX_SAMPLES_PER_SHARD: Final = 10_000  # a corpus key has four digits for the position within its shard
MAX_SHARDS: Final = 100_000  # and five digits for the shard


@dataclass(frozen=True, slots=True)
class WritingOptions:
    """What one can ask of any set: size, encoding and seed of its images, and how its shards are written.

    They travel to the processes that write, which a callback cannot: `progress` is the writers' own argument.

    Attributes:
        size: Side of the square images in pixels, at least 16.
        samples_per_shard: 1 to 10000; the last shard of a split may hold fewer.
        seed: Determines every draw, independently of the number of workers.
        workers: Number of processes, default one per processor; at most the number of shards.
        image_format: "jpg" (quality 92, 4:4:4) or "png".
        overwrite: Replace the shards of an earlier run instead of refusing.
    """

    size: int = 64
    samples_per_shard: int = 1000
    seed: int = 0
    workers: int | None = None
    image_format: ImageFormat = "jpg"
    overwrite: bool = False

    def check(self, samples: int) -> None:
        """Validate the options for this number of samples.

        Raises:
            DataError: if a number is out of range, or the image format is unknown.
        """
        for name, value, least in (
            ("the number of samples", samples, 1),
            ("size", self.size, MIN_SIZE),
            ("samples per shard", self.samples_per_shard, 1),
            ("workers", 1 if self.workers is None else self.workers, 1),
        ):
            if value < least:
                raise DataError(f"{name} must be at least {least}, not {value}")
        if self.samples_per_shard > MAX_SAMPLES_PER_SHARD:
            raise DataError(f"samples per shard must be at most {MAX_SAMPLES_PER_SHARD}, not {self.samples_per_shard}")
        if -(-samples // self.samples_per_shard) > MAX_SHARDS:
            raise DataError(f"{samples} samples need over {MAX_SHARDS} shards: raise samples per shard")
        if self.image_format not in ("jpg", "png"):
            raise DataError(f"image format must be jpg or png, not {self.image_format}")

    def pieces(self, samples: int) -> Iterator[tuple[int, range]]:
        """Yield each shard's number and the index range of its samples."""
        for number, first in enumerate(range(0, samples, self.samples_per_shard)):
            yield number, range(first, min(first + self.samples_per_shard, samples))


DEFAULTS: Final = WritingOptions()
