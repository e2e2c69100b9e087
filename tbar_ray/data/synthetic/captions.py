"""Captions of scenes for training and retrieval, and the prompt templates of the zero-shot evaluation.

Every caption names the class ("red circle"); some also state the size or the background. The longest
caption fits 16 BPE tokens, including the start and end tokens.
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
"""Full descriptions for retrieval: size, class and background, in the vocabulary of the corpus."""

ZEROSHOT_TEMPLATES: Final = (
    "a photo of a {c}.",
    "a picture of a {c}.",
    "a drawing of the {c}.",
    "an image of a {c}.",
    "this is a {c}.",
    "{c}.",
)
"""CLIP_benchmark's notation. Only `{c}` is replaced, so "a" also stands before vowels, as in CLIP's templates."""

SMALL_BELOW: Final = 0.47
"""Scenes with a smaller `size` are described as small."""
LARGE_ABOVE: Final = 0.64
"""Scenes with a larger `size` are described as large."""


def with_article(phrase: str) -> str:
    """Prefix `phrase` with "a", or with "an" before a vowel."""
    return f"{'an' if phrase[:1].lower() in tuple('aeiou') else 'a'} {phrase}"


def size_word(size: float) -> str:
    """Size adjective of a scene: "small", "large" or, in between, ""; `size` is a fraction of the image's side."""
    if size < SMALL_BELOW:
        return "small"
    return "large" if size > LARGE_ABOVE else ""


def make_caption(rng: np.random.Generator, scene: Scene) -> str:
    """Caption a scene with a template drawn from `rng` (one draw)."""
    return _filled(CAPTION_TEMPLATES[int(rng.integers(len(CAPTION_TEMPLATES)))], scene)


def make_descriptions(rng: np.random.Generator, scene: Scene, count: int) -> tuple[str, ...]:
    """Describe a scene `count` times (at most 5) in full, with different templates drawn from `rng`."""
    order = rng.permutation(len(DESCRIPTION_TEMPLATES))[:count]
    return tuple(_filled(DESCRIPTION_TEMPLATES[place], scene) for place in order.tolist())


def _filled(template: str, scene: Scene) -> str:
    return template.format(
        c=scene.class_name,
        thing=with_article(scene.class_name),
        sized=with_article(f"{size_word(scene.size)} {scene.class_name}".strip()),
        ground=with_article(f"{scene.background} background"),
    )
