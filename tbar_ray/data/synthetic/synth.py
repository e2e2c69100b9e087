"""Writes the procedural corpus (img2dataset's layout) and its evaluation set (CLIP_benchmark's layout).

The files are a bit-exact function of the arguments: a sample's draws depend on (seed, stream, index), and
the number of workers and the time have no effect.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tbar_ray.data.synthetic import Scenes
from tbar_ray.data.synthetic.captions import ZEROSHOT_TEMPLATES
from tbar_ray.data.synthetic.encode import ImageFormat, encode_scenes
from tbar_ray.data.synthetic.families import FAMILIES
from tbar_ray.data.synthetic.labelled_writer import write_classes, write_split
from tbar_ray.data.synthetic.retrieval_writer import write_retrieval_set
from tbar_ray.data.synthetic.shard_writer import CorpusSummary, Member, Progress, Settings, Shard, claim, write_shards
from tbar_ray.seeding import numpy_rng

__all__ = ["CorpusSummary", "ImageFormat", "Progress", "write_corpus", "write_evaluation_set", "write_retrieval_set"]


@dataclass(frozen=True, slots=True)
class _Piece:
    """The part of a corpus written to shard `number`."""

    scenes: Scenes
    number: int
    indices: range
    labels: NDArray[np.int64]
    settings: Settings

    def __call__(self) -> Iterator[Member]:
        # Scene and caption draw from separate streams, so other templates do not change the images.
        settings, family = self.settings, FAMILIES[self.scenes]
        drawn = zip(self.indices, self.labels.tolist(), strict=True)
        scenes = [family.draw(numpy_rng(settings.seed, family.stream, index), label) for index, label in drawn]
        images = encode_scenes(scenes, settings.size, settings.image_format, family.render)
        for place, (index, scene, image) in enumerate(zip(self.indices, scenes, images, strict=True)):
            key = f"{self.number:05d}{place:04d}"
            caption = family.caption(numpy_rng(settings.seed, family.caption_stream, index), scene)
            record = {
                "key": key,
                "caption": caption,
                **family.facts(scene),
                "width": settings.size,
                "height": settings.size,
                "original_width": settings.size,
                "original_height": settings.size,
                "status": "success",
                "sha256": hashlib.sha256(image).hexdigest(),
                "seed": settings.seed,
            }
            yield f"{key}.{settings.image_format}", image
            yield f"{key}.json", json.dumps(record, sort_keys=True).encode()
            yield f"{key}.txt", caption.encode()


def write_corpus(
    out: Path,
    *,
    samples: int,
    scenes: Scenes = "plain",
    size: int = 64,
    samples_per_shard: int = 1000,
    seed: int = 0,
    workers: int | None = None,
    image_format: ImageFormat = "jpg",
    progress: Progress | None = None,
    overwrite: bool = False,
) -> CorpusSummary:
    """Write a captioned training corpus as `00000.tar`, ... with `00000_stats.json`, ... beside them.

    Classes are balanced to within one sample and shuffled. With more than one worker the caller's main module
    must be importable without side effects (`if __name__ == "__main__":`), as for any spawned process.

    Args:
        out: Folder to write to; created if missing.
        samples: Number of image-caption pairs, at least 1.
        scenes: "plain" (one object, 60 classes) or "rich" (several, their relations, textures and looks).
        size: Side of the square images in pixels, at least 16.
        samples_per_shard: 1 to 10000; the last shard may hold fewer.
        seed: Determines every draw, independently of the number of workers.
        workers: Number of processes, default one per processor; at most the number of shards.
        image_format: "jpg" (quality 92, 4:4:4) or "png".
        progress: Called once per shard with the number of samples just written.
        overwrite: Replace the shards of an earlier run instead of refusing.

    Raises:
        DataError: If an argument is out of range, `out` already holds shards, or it cannot be written.
    """
    out, settings = Path(out), Settings(size, samples_per_shard, seed, workers, image_format, overwrite)
    settings.check(samples)
    claim(out, overwrite)
    family = FAMILIES[scenes]
    labels = numpy_rng(seed, family.stream, "labels").permutation(np.arange(samples) % family.labels)
    shards = []
    for number, indices in settings.pieces(samples):
        piece = _Piece(scenes, number, indices, labels[indices.start : indices.stop], settings)
        shards.append(Shard(out / f"{number:05d}.tar", len(indices), piece, statistics=True))
    return write_shards(out, shards, workers, progress)


def write_evaluation_set(
    out: Path,
    *,
    per_class: int = 40,
    scenes: Scenes = "plain",
    size: int = 64,
    samples_per_shard: int = 1000,
    seed: int = 0,
    workers: int | None = None,
    image_format: ImageFormat = "jpg",
    progress: Progress | None = None,
    overwrite: bool = False,
) -> CorpusSummary:
    """Write a zero-shot evaluation set: `classnames.txt`, templates, `test/nshards.txt`, `test/0.tar`, ...

    Scenes come from a separate stream, so that none repeats a training scene of the same seed, and keys start with "e"
    (plain) or "rich-e" (rich). Arguments and errors are those of `write_corpus`; `per_class` (at least 1) is the number
    of images of each class. Plain scenes have 60 classes; rich scenes have 480, of which these 60 are the first.
    """
    out, settings = Path(out), Settings(size, samples_per_shard, seed, workers, image_format, overwrite)
    family = FAMILIES[scenes]
    source = family.evaluation
    settings.check(per_class * source.classes)
    claim(out / "test", overwrite)
    summary = write_split(out / "test", source, per_class, settings, progress)
    write_classes(out, family.classnames, ZEROSHOT_TEMPLATES)
    return CorpusSummary(out, summary.samples, summary.shards, summary.bytes, summary.seconds)
