"""Writes labelled scenes as splits of a zero-shot data set, in CLIP_benchmark's WebDataset layout."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray

from tbar_ray.data.shard_writer import (
    CorpusSummary,
    Member,
    Progress,
    Shard,
    write_shards,
    write_texts,
)
from tbar_ray.data.synthetic.encode import Render, S, encode_scenes
from tbar_ray.data.synthetic.options import WritingOptions
from tbar_ray.seeding import numpy_rng


@dataclass(frozen=True, slots=True)
class LabelledScenes(Generic[S]):
    """A stream of labelled images. It must pickle, so its functions are module-level functions.

    Attributes:
        stream: Purpose of its random draws; unique among the streams that share a seed.
        prefix: Prefix of its keys, followed by nine digits.
        classes: Number of classes; every class has the same number of images.
        draw: Draws a scene of a class.
        render: The style of the images.
    """

    stream: str
    prefix: str
    classes: int
    draw: Callable[[np.random.Generator, int], S]
    render: Render[S]


@dataclass(frozen=True, slots=True)
class _Piece:
    """The part of a stream written to one shard."""

    source: LabelledScenes[Any]
    indices: range
    labels: NDArray[np.int64]
    options: WritingOptions

    def __call__(self) -> Iterator[Member]:
        source, options, labels = self.source, self.options, self.labels.tolist()
        drawn = zip(self.indices, labels, strict=True)
        scenes = [source.draw(numpy_rng(options.seed, source.stream, index), label) for index, label in drawn]
        images = encode_scenes(scenes, options.size, options.image_format, source.render)
        for index, label, image in zip(self.indices, labels, images, strict=True):
            key = f"{source.prefix}{index:09d}"
            yield f"{key}.cls", str(label).encode()
            yield f"{key}.{options.image_format}", image


def write_split(
    folder: Path, source: LabelledScenes[Any], per_class: int, options: WritingOptions, progress: Progress | None
) -> CorpusSummary:
    """Write `0.tar`, `1.tar`, ... and `nshards.txt` into the claimed `folder`; classes are balanced and shuffled.

    Raises:
        DataError: as `write_shards`.
    """
    samples = per_class * source.classes
    labels = numpy_rng(options.seed, source.stream, "labels").permutation(np.arange(samples) % source.classes)
    shards = []
    for number, indices in options.pieces(samples):
        piece = _Piece(source, indices, labels[indices.start : indices.stop], options)
        shards.append(Shard(folder / f"{number}.tar", len(indices), piece))
    summary = write_shards(folder, shards, options.workers, progress)
    write_texts({folder / "nshards.txt": str(summary.shards)})
    return summary
