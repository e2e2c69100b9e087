"""Writes a retrieval set in CLIP_benchmark's WebDataset layout: images with one or two full descriptions each.

Retrieval requires descriptions that distinguish images. Each scene is therefore assigned a class, a size and a
background, and its captions name all three: no two of the first 1,080 pairs share a description.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Final

from tbar_ray.data.synthetic.backgrounds import BACKGROUNDS
from tbar_ray.data.synthetic.captions import LARGE_ABOVE, SMALL_BELOW, make_descriptions
from tbar_ray.data.synthetic.encode import ImageFormat, encode_scenes
from tbar_ray.data.synthetic.rendering import render
from tbar_ray.data.synthetic.scenes import CLASS_NAMES, Scene, draw_scene
from tbar_ray.data.synthetic.shard_writer import (
    CorpusSummary,
    Member,
    Progress,
    Settings,
    Shard,
    claim,
    write_shards,
    write_texts,
)
from tbar_ray.seeding import numpy_rng

# A gap of 0.02 around each threshold keeps sizes away from the borders between size words.
SIZES: Final = ((0.38, SMALL_BELOW - 0.01), (SMALL_BELOW + 0.01, LARGE_ABOVE - 0.01), (LARGE_ABOVE + 0.01, 0.75))
"""Ranges of a scene's size that are described as "small", without a size word, and as "large"."""
KINDS: Final = tuple(product(range(len(CLASS_NAMES)), SIZES, BACKGROUNDS))
"""All combinations of class, size range and background."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """The part of the set written to one shard; `kinds` are indices into `KINDS`."""

    indices: range
    kinds: tuple[int, ...]
    settings: Settings

    def __call__(self) -> Iterator[Member]:
        settings = self.settings
        drawn = zip(self.indices, self.kinds, strict=True)
        scenes = [_draw(settings.seed, index, kind) for index, kind in drawn]
        images = encode_scenes(scenes, settings.size, settings.image_format, render)
        for index, scene, image in zip(self.indices, scenes, images, strict=True):
            rng = numpy_rng(settings.seed, "retrieval caption", index)
            captions = make_descriptions(rng, scene, count=int(rng.integers(1, 3)))
            yield f"r{index:09d}.{settings.image_format}", image
            yield f"r{index:09d}.txt", "\n".join(captions).encode()


def _draw(seed: int, index: int, kind: int) -> Scene:
    label, (low, high), background = KINDS[kind]
    rng = numpy_rng(seed, "retrieval", index)
    scene = draw_scene(rng, label)
    size = low + (high - low) * float(rng.random())
    room = (1 - size) / (1 - scene.size)  # rescale the position to the free space that the new size leaves
    x, y = (0.5 + (place - 0.5) * room for place in (scene.x, scene.y))
    return replace(scene, size=size, x=x, y=y, background=background)


def write_retrieval_set(
    out: Path,
    *,
    pairs: int,
    size: int = 64,
    samples_per_shard: int = 1000,
    seed: int = 0,
    workers: int | None = None,
    image_format: ImageFormat = "jpg",
    progress: Progress | None = None,
    overwrite: bool = False,
) -> CorpusSummary:
    """Write `test/nshards.txt` and `test/0.tar`, ...: `KEY.jpg` and `KEY.txt`, one caption per line.

    Scenes come from a separate stream, so that none repeats one of the corpus, the evaluation set or a task
    of the same seed; keys start with "r". Arguments and errors are those of `write_corpus`; `pairs` (at least 1)
    is the number of images, each with one or two captions. Beyond 1,080 pairs, descriptions repeat as rarely as
    possible.
    """
    out, settings = Path(out), Settings(size, samples_per_shard, seed, workers, image_format, overwrite)
    settings.check(pairs)
    split = out / "test"
    claim(split, overwrite)
    deck = numpy_rng(seed, "retrieval", "kinds").permutation(len(KINDS)).tolist()
    shards = []
    for number, indices in settings.pieces(pairs):
        kinds = tuple(deck[index % len(deck)] for index in indices)
        shards.append(Shard(split / f"{number}.tar", len(indices), _Piece(indices, kinds, settings)))
    summary = write_shards(split, shards, workers, progress)
    write_texts({split / "nshards.txt": str(summary.shards)})
    return CorpusSummary(out, summary.samples, summary.shards, summary.bytes, summary.seconds)
