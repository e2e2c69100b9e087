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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbar_ray.data.shard_writer import CorpusSummary, Member, Progress, Shard, claim, write_classes, write_shards
from tbar_ray.data.synthetic import Scenes
from tbar_ray.data.synthetic.captions import ZEROSHOT_TEMPLATES
from tbar_ray.data.synthetic.encode import encode_scenes
from tbar_ray.data.synthetic.families import FAMILIES
from tbar_ray.data.synthetic.labelled_writer import write_split
from tbar_ray.data.synthetic.options import DEFAULTS, WritingOptions
from tbar_ray.seeding import numpy_rng


@dataclass(frozen=True, slots=True)
class _Piece:
    """The part of a corpus written to shard `number`."""

    scenes: Scenes
    number: int
    indices: range
    labels: NDArray[np.int64]
    options: WritingOptions
    wrong_captions: float = 0.0

    def __call__(self) -> Iterator[Member]:
        # Scene and caption draw from separate streams, so other templates do not change the images.
        options, family = self.options, FAMILIES[self.scenes]
        drawn = zip(self.indices, self.labels.tolist(), strict=True)
        scenes = [family.draw(numpy_rng(options.seed, family.stream, index), label) for index, label in drawn]
        images = encode_scenes(scenes, options.size, options.image_format, family.render)
        for place, (index, scene, image) in enumerate(zip(self.indices, scenes, images, strict=True)):
            key = f"{self.number:05d}{place:04d}"
            described = self._described(scene, index)
            caption = family.caption(numpy_rng(options.seed, family.caption_stream, index), described)
            record = {
                "key": key,
                "caption": caption,
                **family.facts(scene),
                "width": options.size,
                "height": options.size,
                "original_width": options.size,
                "original_height": options.size,
                "status": "success",
                "sha256": hashlib.sha256(image).hexdigest(),
                "seed": options.seed,
            }
            yield f"{key}.{options.image_format}", image
            yield f"{key}.json", json.dumps(record, sort_keys=True).encode()
            yield f"{key}.txt", caption.encode()

    def _described(self, scene: Any, index: int) -> Any:
        """The scene that a caption tells: the one shown or, of a share of the samples, one of another class."""
        if not self.wrong_captions:
            return scene
        family, rng = FAMILIES[self.scenes], numpy_rng(self.options.seed, "wrong caption", index)
        if rng.random() >= self.wrong_captions:
            return scene
        own = int(self.labels[index - self.indices.start])
        return family.draw(rng, (own + 1 + int(rng.integers(family.labels - 1))) % family.labels)


def write_corpus(
    out: Path,
    options: WritingOptions = DEFAULTS,
    *,
    samples: int,
    scenes: Scenes = "plain",
    wrong_captions: float = 0.0,
    progress: Progress | None = None,
) -> CorpusSummary:
    """Write a captioned training corpus as `00000.tar`, ... with `00000_stats.json`, ... beside them.

    Classes are balanced to within one sample and shuffled. With more than one worker the caller's main module
    must be importable without side effects (`if __name__ == "__main__":`), as for any spawned process.

    Args:
        out: Folder to write to; created if missing.
        options: Size, encoding and seed of the images, and how the shards are written.
        samples: Number of image-caption pairs, at least 1.
        scenes: "plain" (one object, 60 classes) or "rich" (several, their relations, textures and looks).
        wrong_captions: Share of the samples, in [0, 1], whose caption tells a scene of another class: noisy labels.
        progress: Called once per shard with the number of samples just written.

    Raises:
        DataError: If an argument or option is out of range, `out` already holds shards, or it cannot be written.
    """
    out = Path(out)
    options.check(samples)
    claim(out, options.overwrite)
    family = FAMILIES[scenes]
    labels = numpy_rng(options.seed, family.stream, "labels").permutation(np.arange(samples) % family.labels)
    shards = []
    for number, indices in options.pieces(samples):
        piece = _Piece(scenes, number, indices, labels[indices.start : indices.stop], options, wrong_captions)
        shards.append(Shard(out / f"{number:05d}.tar", len(indices), piece, statistics=True))
    return write_shards(out, shards, options.workers, progress)


def write_evaluation_set(
    out: Path,
    options: WritingOptions = DEFAULTS,
    *,
    per_class: int = 40,
    scenes: Scenes = "plain",
    progress: Progress | None = None,
) -> CorpusSummary:
    """Write a zero-shot evaluation set: `classnames.txt`, templates, `test/nshards.txt`, `test/0.tar`, ...

    Scenes come from a separate stream, so that none repeats a training scene of the same seed, and keys start with "e"
    (plain) or "rich-e" (rich). Arguments and errors are those of `write_corpus`; `per_class` (at least 1) is the number
    of images of each class. Plain scenes have 60 classes; rich scenes have 480, of which these 60 are the first.
    """
    out = Path(out)
    family = FAMILIES[scenes]
    source = family.evaluation
    options.check(per_class * source.classes)
    claim(out / "test", options.overwrite)
    summary = write_split(out / "test", source, per_class, options, progress)
    write_classes(out, family.classnames, ZEROSHOT_TEMPLATES)
    return CorpusSummary(out, summary.samples, summary.shards, summary.bytes, summary.seconds)
