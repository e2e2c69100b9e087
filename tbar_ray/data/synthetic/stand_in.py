"""Small data sets in the layouts of real ones, with given class names: what a rehearsal reads in place of real data.

Images are plain scenes, which show nothing of the classes that they are said to be of.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tbar_ray.data.layout import SplitName
from tbar_ray.data.shard_writer import Member, Shard, claim, write_classes, write_shards, write_texts
from tbar_ray.data.synthetic.encode import encode_scenes
from tbar_ray.data.synthetic.rendering import render
from tbar_ray.data.synthetic.scenes import CLASS_NAMES, draw_scene
from tbar_ray.seeding import numpy_rng

SHARDS = 2
"""Shards of the pairs: a reader changes from one to the next."""


@dataclass(frozen=True, slots=True)
class Classes:
    """Class names and templates, of which the samples are said to be."""

    names: tuple[str, ...]
    templates: tuple[str, ...]

    def caption(self, number: int) -> str:
        """The caption of a sample."""
        template = self.templates[number // len(self.names) % len(self.templates)]
        return template.replace("{c}", self.names[number % len(self.names)])


def write_pairs(folder: Path, classes: Classes, size: int, samples: int, *, labelled: bool) -> str:
    """Write pairs as img2dataset does; return the pattern of their shards.

    Args:
        folder: is made.
        classes: each is named by an equal number of captions, to within one.
        size: side of the images in pixels.
        samples: number of pairs.
        labelled: whether `label` in the JSON names the class, too.

    Raises:
        DataError: if it cannot be written.
    """
    claim(folder, overwrite=False)
    each = -(-samples // SHARDS)

    def members(shard: int) -> Iterator[Member]:
        numbers = range(shard * each, min((shard + 1) * each, samples))
        for place, (number, image) in enumerate(zip(numbers, _images(numbers, size, folder.name), strict=True)):
            key, caption = f"{shard:05d}{place:04d}", classes.caption(number)
            label = {"label": classes.names[number % len(classes.names)]} if labelled else {}
            yield f"{key}.jpg", image
            yield f"{key}.json", json.dumps({"key": key, "caption": caption, **label, "status": "success"}).encode()
            yield f"{key}.txt", caption.encode()

    counts = [min(each, samples - shard * each) for shard in range(SHARDS)]
    shards = [
        Shard(folder / f"{shard:05d}.tar", count, partial(members, shard), statistics=True)
        for shard, count in enumerate(counts)
    ]
    write_shards(folder, shards, 1, None)
    return f"{folder}/{{{0:05d}..{SHARDS - 1:05d}}}.tar"


def write_labelled(
    folder: Path, classes: Classes, size: int, per_class: int, splits: Sequence[SplitName] = ("test",)
) -> None:
    """Write an evaluation set, or with two splits a task, in CLIP_benchmark's layout.

    Raises:
        DataError: if it cannot be written.
    """
    count = per_class * len(classes.names)
    for split in splits:

        def members(split: SplitName = split) -> Iterator[Member]:
            for number, image in enumerate(_images(range(count), size, f"{folder.name} {split}")):
                yield f"{split}{number:06d}.cls", str(number % len(classes.names)).encode()
                yield f"{split}{number:06d}.jpg", image

        _write_split(folder / split, Shard(folder / split / "0.tar", count, members))
    write_classes(folder, classes.names, classes.templates)


def write_captioned(folder: Path, classes: Classes, size: int, pairs: int) -> None:
    """Write a retrieval set in CLIP_benchmark's layout.

    Raises:
        DataError: if it cannot be written.
    """

    def members() -> Iterator[Member]:
        for number, image in enumerate(_images(range(pairs), size, folder.name)):
            yield f"r{number:06d}.jpg", image
            yield f"r{number:06d}.txt", f"{classes.caption(number)}, number {number}".encode()

    _write_split(folder / "test", Shard(folder / "test" / "0.tar", pairs, members))


def _write_split(folder: Path, shard: Shard) -> None:
    claim(folder, overwrite=False)
    write_shards(folder, [shard], 1, None)
    write_texts({folder / "nshards.txt": "1"})


def _images(numbers: range, size: int, name: str) -> Iterator[bytes]:
    scenes = [draw_scene(numpy_rng(0, "stand-in", name, number), number % len(CLASS_NAMES)) for number in numbers]
    return encode_scenes(scenes, size, "jpg", render)
