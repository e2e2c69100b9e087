"""Writes a retrieval set in CLIP_benchmark's WebDataset layout: images with one or two full descriptions each.

Retrieval requires descriptions that distinguish images. A plain scene is therefore assigned a class, a size and a
background, and its captions name all three: no two of the first 1,080 pairs share a description. A rich scene is drawn
again until no earlier scene has its description.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, Final, Generic

import numpy as np

from tbar_ray.data.shard_writer import (
    CorpusSummary,
    Member,
    Progress,
    Shard,
    claim,
    write_shards,
    write_texts,
)
from tbar_ray.data.synthetic import Scenes
from tbar_ray.data.synthetic.backgrounds import BACKGROUNDS
from tbar_ray.data.synthetic.captions import LARGE_ABOVE, SMALL_BELOW, make_descriptions
from tbar_ray.data.synthetic.encode import Render, S, encode_scenes
from tbar_ray.data.synthetic.options import DEFAULTS, WritingOptions
from tbar_ray.data.synthetic.rendering import render
from tbar_ray.data.synthetic.rich.captions import make_rich_descriptions, told
from tbar_ray.data.synthetic.rich.drawing import draw_rich_scene
from tbar_ray.data.synthetic.rich.rendering import render_rich
from tbar_ray.data.synthetic.rich.scene import RichScene
from tbar_ray.data.synthetic.rich.vocabulary import PLAIN_CLASSES
from tbar_ray.data.synthetic.scenes import CLASS_NAMES, Scene, draw_scene
from tbar_ray.seeding import numpy_rng

# A gap of 0.02 around each threshold keeps sizes away from the borders between size words.
SIZES: Final = ((0.38, SMALL_BELOW - 0.01), (SMALL_BELOW + 0.01, LARGE_ABOVE - 0.01), (LARGE_ABOVE + 0.01, 0.75))
"""Ranges of a scene's size that are described as "small", without a size word, and as "large"."""
KINDS: Final = tuple(product(range(len(CLASS_NAMES)), SIZES, BACKGROUNDS))
"""All combinations of class, size range and background."""
ATTEMPTS: Final = 100
"""Maximum number of draws of a rich scene; the last one is kept even if an earlier scene has its description."""


@dataclass(frozen=True, slots=True)
class _Style(Generic[S]):
    """How scenes of one family become a retrieval set.

    Attributes:
        stream: Purpose of the random draws of captions.
        prefix: Prefix of keys, followed by nine digits.
        deal: Maps (seed, number of pairs) to one integer per pair, the third argument of `draw`.
        draw: Draws a scene, given seed, index and the pair's integer.
        render: Renders its image.
        describe: Draws the given number of full descriptions of it.
    """

    stream: str
    prefix: str
    deal: Callable[[int, int], Sequence[int]]
    draw: Callable[[int, int, int], S]
    render: Render[S]
    describe: Callable[[np.random.Generator, S, int], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class _Piece:
    """The part of the set written to one shard; `dealt` holds the integers of its pairs."""

    scenes: Scenes
    indices: range
    dealt: tuple[int, ...]
    options: WritingOptions

    def __call__(self) -> Iterator[Member]:
        options, style = self.options, _STYLES[self.scenes]
        drawn = zip(self.indices, self.dealt, strict=True)
        scenes = [style.draw(options.seed, index, dealt) for index, dealt in drawn]
        images = encode_scenes(scenes, options.size, options.image_format, style.render)
        for index, scene, image in zip(self.indices, scenes, images, strict=True):
            rng = numpy_rng(options.seed, style.stream, index)
            captions = style.describe(rng, scene, int(rng.integers(1, 3)))
            yield f"{style.prefix}{index:09d}.{options.image_format}", image
            yield f"{style.prefix}{index:09d}.txt", "\n".join(captions).encode()


def _deal(seed: int, pairs: int) -> Sequence[int]:
    """Return an index into `KINDS` for each pair."""
    deck = numpy_rng(seed, "retrieval", "kinds").permutation(len(KINDS)).tolist()
    return [deck[index % len(deck)] for index in range(pairs)]


def _draw(seed: int, index: int, kind: int) -> Scene:
    label, (low, high), background = KINDS[kind]
    rng = numpy_rng(seed, "retrieval", index)
    scene = draw_scene(rng, label)
    size = low + (high - low) * float(rng.random())
    room = (1 - size) / (1 - scene.size)  # rescale the position to the free space that the new size leaves
    x, y = (0.5 + (place - 0.5) * room for place in (scene.x, scene.y))
    return replace(scene, size=size, x=x, y=y, background=background)


def _deal_rich(seed: int, pairs: int) -> Sequence[int]:
    """Return, for each pair, the first attempt whose description is new, or the last attempt if none is."""
    attempts, known = [], set[str]()
    for index in range(pairs):
        for attempt in range(ATTEMPTS):
            telling = told(_draw_rich(seed, index, attempt))
            if telling not in known:
                break
        known.add(telling)
        attempts.append(attempt)
    return attempts


def _draw_rich(seed: int, index: int, attempt: int) -> RichScene:
    rng = numpy_rng(seed, "rich retrieval", index, attempt)
    return draw_rich_scene(rng, int(rng.integers(len(PLAIN_CLASSES))))


_STYLES: Final[Mapping[Scenes, _Style[Any]]] = {
    "plain": _Style("retrieval caption", "r", _deal, _draw, render, make_descriptions),
    "rich": _Style("rich retrieval caption", "rich-r", _deal_rich, _draw_rich, render_rich, make_rich_descriptions),
}


def write_retrieval_set(
    out: Path,
    options: WritingOptions = DEFAULTS,
    *,
    pairs: int,
    scenes: Scenes = "plain",
    progress: Progress | None = None,
) -> CorpusSummary:
    """Write `test/nshards.txt` and `test/0.tar`, ...: `KEY.jpg` and `KEY.txt`, one caption per line.

    Scenes come from a separate stream, so that none repeats one of the corpus, the evaluation set or a task
    of the same seed; keys start with "r" (plain) or "rich-r" (rich). Arguments and errors are those of `write_corpus`;
    `pairs` (at least 1) is the number of images, each with one or two captions. Beyond 1,080 pairs, descriptions of
    plain scenes repeat as rarely as possible.
    """
    out = Path(out)
    options.check(pairs)
    split = out / "test"
    claim(split, options.overwrite)
    dealt = _STYLES[scenes].deal(options.seed, pairs)
    shards = []
    for number, indices in options.pieces(pairs):
        piece = _Piece(scenes, indices, tuple(dealt[indices.start : indices.stop]), options)
        shards.append(Shard(split / f"{number}.tar", len(indices), piece))
    summary = write_shards(split, shards, options.workers, progress)
    write_texts({split / "nshards.txt": str(summary.shards)})
    return CorpusSummary(out, summary.samples, summary.shards, summary.bytes, summary.seconds)
