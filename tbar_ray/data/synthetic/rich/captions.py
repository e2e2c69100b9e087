"""Captions of rich scenes: objects, their relation, the background, and the look of the image.

Every caption fits in 16 BPE tokens, including the start and end tokens. For this, at most one object of a pair has a
texture, and neither has one where the caption gives both sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from tbar_ray.data.synthetic.captions import size_word, with_article
from tbar_ray.data.synthetic.rich.scene import Arrangement, RichScene, Thing
from tbar_ray.data.synthetic.rich.vocabulary import RichClass

ALONE: Final = (
    "a photo of {thing}",
    "a picture of {thing}.",
    "a drawing of the {c}",
    "this is {thing}.",
    "{c}",
    "an image of {sized}",
    "{sized} on {ground}",
    "photo of {thing} on {ground}",
    "{ground} with {thing}",
    "{thing} in front of {ground}",
    "{sized} {place}",
    "a photo of {thing} {place}",
)
DESCRIPTION: Final = ("{sized} on {ground}", "{ground} with {sized}")
"""Templates for a single object, for retrieval."""
PAIR: Final = ("{sized} {relation} {other_sized}", "{thing} {relation} {other}", "{other} {inverse} {thing}")
PLAIN_PAIR: Final = (*PAIR, "photo of {thing} {relation} {other}", "{thing} and {other}", "{other} and {thing}")
"""Templates for a pair without textures."""
BETWEEN: Final = ("{thing} between two {others}", "photo of {thing} between two {others}")
SEVERAL: Final = (
    "{count} {others}",
    "a photo of {count} {others}",
    "{count} {others} on {ground}",
    "{ground} with {count} {others}",
)
SEVERAL_AND_ONE: Final = ("{count} {others} and {thing}", "{thing} and {count} {others}")
LOOKED: Final = ("a {look} photo of {thing}", "a {look} picture of {thing}")
"""Templates for a single object in an image with a look (dark, blurry, grainy)."""

INVERSE: Final = {"left of": "right of", "right of": "left of", "above": "below", "below": "above", "inside": "around"}
SAME_AS: Final[dict[Arrangement, Arrangement]] = {"right of": "left of", "below": "above"}
"""Relations that equal another relation with the two objects exchanged."""
NUMBERS: Final = ("no", "one", "two", "three", "four", "five")
LARGER_BY: Final = 1.3
"""Ratio of sizes above which the larger of two objects is called large and the other small."""
OFF_CENTRE: Final = 0.12
"""Distance from the centre (fraction of the side) above which a single object is described as off-centre."""


def make_rich_caption(rng: np.random.Generator, scene: RichScene) -> str:
    """A caption of `scene`, its template drawn from `rng`."""
    return _filled(scene, _drawn(rng, _templates(scene)))


def make_rich_descriptions(rng: np.random.Generator, scene: RichScene, count: int) -> tuple[str, ...]:
    """One or two captions (`count`), from different templates, that name every object and their arrangement."""
    order = rng.permutation(len(_telling(scene)))[:count]
    return tuple(_filled(scene, _telling(scene)[place]) for place in order.tolist())


def told(scene: RichScene) -> str:
    """A canonical description of `scene`; scenes with equivalent descriptions have the same one."""
    if (other := SAME_AS.get(scene.arrangement)) is not None:
        scene = replace(scene, things=scene.things[::-1], arrangement=other)
    return _filled(scene, _telling(scene)[0])


def _telling(scene: RichScene) -> tuple[str, ...]:
    """Templates with the full content of a scene, except the sizes of two objects and the look."""
    match scene.arrangement:
        case "alone":
            return DESCRIPTION
        case "several":
            return SEVERAL[2:]
        case "between" | "several and one":
            return _templates(scene)
    return PAIR[1:]


def plural(named: RichClass) -> str:
    """Plural of a class name: with "es" after an "s", else with "s"."""
    return f"{named.name}es" if named.name.endswith("s") else f"{named.name}s"


def _drawn(rng: np.random.Generator, templates: Sequence[str]) -> str:
    return templates[int(len(templates) * rng.random())]


def _templates(scene: RichScene) -> tuple[str, ...]:
    match scene.arrangement:
        case "alone":
            # Half of the captions of an image with a look name it.
            return (*ALONE, *LOOKED * (len(ALONE) // len(LOOKED))) if scene.look else ALONE
        case "between":
            return BETWEEN
        case "several":
            return SEVERAL
        case "several and one":
            return SEVERAL_AND_ONE
    return PAIR if any(thing.named.texture for thing in scene.things) else PLAIN_PAIR


def _filled(scene: RichScene, template: str) -> str:
    first, last = scene.things[0], scene.things[-1]
    words, other_words = _sizes(scene)
    return template.format(
        c=first.named.name,
        thing=with_article(first.named.name),
        sized=with_article(f"{words} {first.named.name}".strip()),
        other=with_article(last.named.name),
        other_sized=with_article(f"{other_words} {last.named.name}".strip()),
        others=plural(last.named),
        count=NUMBERS[len(scene.things) - (scene.arrangement == "several and one")],
        relation=scene.arrangement,
        inverse=INVERSE.get(scene.arrangement, ""),
        place=_place(first),
        ground=with_article(f"{scene.background} background"),
        look=scene.look,
    )


def _sizes(scene: RichScene) -> tuple[str, str]:
    first, last = scene.things[0], scene.things[-1]
    if scene.arrangement == "alone":
        return size_word(first.size), ""
    told = scene.arrangement != "inside" and not any(thing.named.texture for thing in scene.things)
    if told and first.size > LARGER_BY * last.size:
        return "large", "small"
    if told and last.size > LARGER_BY * first.size:
        return "small", "large"
    return "", ""


def _place(thing: Thing) -> str:
    right, down = thing.x - 0.5, thing.y - 0.5
    if max(abs(right), abs(down)) < OFF_CENTRE:
        return "in the middle"
    if abs(right) > abs(down):
        return "on the right" if right > 0 else "on the left"
    return "at the bottom" if down > 0 else "at the top"
