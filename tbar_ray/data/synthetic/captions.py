"""Captions of scenes for training and retrieval, and the prompt templates of the zero-shot evaluation.

Every caption names the class ("red circle"); some also tell the size or the background. The longest
one fits 16 BPE tokens, the start and end tokens included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np

    from tbar_ray.data.synthetic.scenes import Scene

CAPTION_TEMPLATES: Final = (
    "a photo of {thing}",
    "a picture of {thing}.",
    "a drawing of the {c}",
    "this is {thing}.",
    "{c}",
    "an image of {sized}",
    "{sized} on {ground}",
    "a photo of {thing} on {ground}",
    "{ground} with {thing}",
    "a photo of the {c} in front of {ground}",
)
"""`{c}`: class name; `{thing}`: with article; `{sized}`: with size and article; `{ground}`: background."""

DESCRIPTION_TEMPLATES: Final = (
    "{sized} on {ground}",
    "a photo of {sized} on {ground}",
    "a picture of {sized} on {ground}.",
    "{ground} with {sized}",
    "{sized} in front of {ground}",
)
"""Captions that tell all that captions can: size, class and background. For retrieval, in the corpus's words."""

ZEROSHOT_TEMPLATES: Final = (
    "a photo of a {c}.",
    "a picture of a {c}.",
    "a drawing of the {c}.",
    "an image of a {c}.",
    "this is a {c}.",
    "{c}.",
)
"""CLIP_benchmark's notation; it replaces `{c}` alone, so these keep "a" before a vowel too, as CLIP's do."""

SMALL_BELOW: Final = 0.47
"""Scenes with a smaller `size` are called small."""
LARGE_ABOVE: Final = 0.64
"""Scenes with a greater `size` are called large."""


def with_article(phrase: str) -> str:
    """Return `phrase` behind "a", or "an" before a vowel."""
    return f"{'an' if phrase[:1].lower() in tuple('aeiou') else 'a'} {phrase}"


def size_word(size: float) -> str:
    """Return "small", "large" or, between them, "" for a scene's `size` (fraction of the image's side)."""
    if size < SMALL_BELOW:
        return "small"
    return "large" if size > LARGE_ABOVE else ""


def make_caption(rng: np.random.Generator, scene: Scene) -> str:
    """Return a caption of `scene` by a template drawn from `rng` (one draw)."""
    return _filled(CAPTION_TEMPLATES[int(rng.integers(len(CAPTION_TEMPLATES)))], scene)


def make_descriptions(rng: np.random.Generator, scene: Scene, count: int) -> tuple[str, ...]:
    """Return `count` (at most 5) full descriptions of `scene` by different templates drawn from `rng`."""
    order = rng.permutation(len(DESCRIPTION_TEMPLATES))[:count]
    return tuple(_filled(DESCRIPTION_TEMPLATES[place], scene) for place in order.tolist())


def _filled(template: str, scene: Scene) -> str:
    return template.format(
        c=scene.class_name,
        thing=with_article(scene.class_name),
        sized=with_article(f"{size_word(scene.size)} {scene.class_name}".strip()),
        ground=with_article(f"{scene.background} background"),
    )
