"""Which scenes a corpus shows: the plain ones, of one object in 60 classes, or the rich ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic

import numpy as np

from tbar_ray.data.synthetic import Scenes
from tbar_ray.data.synthetic.captions import make_caption
from tbar_ray.data.synthetic.encode import Render, S
from tbar_ray.data.synthetic.labelled_writer import LabelledScenes
from tbar_ray.data.synthetic.rendering import render
from tbar_ray.data.synthetic.rich.captions import make_rich_caption
from tbar_ray.data.synthetic.rich.drawing import draw_rich_labelled, draw_rich_scene
from tbar_ray.data.synthetic.rich.rendering import render_rich
from tbar_ray.data.synthetic.rich.scene import RichScene
from tbar_ray.data.synthetic.rich.vocabulary import PLAIN_CLASSES, RICH_CLASS_NAMES
from tbar_ray.data.synthetic.scenes import CLASS_NAMES, Scene, draw_scene


@dataclass(frozen=True, slots=True)
class SceneFamily(Generic[S]):
    """Scenes to train on, and labelled ones of the same world to evaluate on.

    Attributes:
        stream: Purpose of the draws of training scenes, its own among all that share a seed.
        caption_stream: Purpose of the draws of their captions.
        labels: Number of labels that training scenes are balanced over.
        draw: Draws a training scene of a label.
        render: Makes its picture.
        caption: Draws its caption.
        facts: What the caption could tell of it, for the sample's record.
        classnames: Classes of the evaluation set.
        evaluation: Its pictures.
    """

    stream: str
    caption_stream: str
    labels: int
    draw: Callable[[np.random.Generator, int], S]
    render: Render[S]
    caption: Callable[[np.random.Generator, S], str]
    facts: Callable[[S], dict[str, Any]]
    classnames: tuple[str, ...]
    evaluation: LabelledScenes[S]


def _plain_facts(scene: Scene) -> dict[str, Any]:
    return {
        "label": scene.class_name,
        "shape": scene.shape,
        "colour": scene.colour,
        "background": scene.background,
    }


def _rich_facts(scene: RichScene) -> dict[str, Any]:
    return {
        "label": scene.class_name,
        "objects": [thing.named.name for thing in scene.things],
        "arrangement": scene.arrangement,
        "background": scene.background,
        "look": scene.look,
    }


PLAIN: Final = SceneFamily(
    stream="corpus",
    caption_stream="caption",
    labels=len(CLASS_NAMES),
    draw=draw_scene,
    render=render,
    caption=make_caption,
    facts=_plain_facts,
    classnames=CLASS_NAMES,
    evaluation=LabelledScenes("evaluation", prefix="e", classes=len(CLASS_NAMES), draw=draw_scene, render=render),
)
RICH: Final = SceneFamily(
    stream="rich corpus",
    caption_stream="rich caption",
    labels=len(PLAIN_CLASSES),
    draw=draw_rich_scene,
    render=render_rich,
    caption=make_rich_caption,
    facts=_rich_facts,
    classnames=RICH_CLASS_NAMES,
    evaluation=LabelledScenes(
        "rich evaluation",
        prefix="rich-e",
        classes=len(RICH_CLASS_NAMES),
        draw=draw_rich_labelled,
        render=render_rich,
    ),
)
FAMILIES: Final[Mapping[Scenes, SceneFamily[Any]]] = {"plain": PLAIN, "rich": RICH}
