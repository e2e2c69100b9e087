"""The two families of scenes: plain (one object, 60 classes) and rich (several objects, 480 classes)."""

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
    """Training scenes, and labelled scenes of the same kind for evaluation.

    Attributes:
        stream: Purpose of the random draws of training scenes; unique among the streams that share a seed.
        caption_stream: Purpose of the random draws of their captions.
        labels: Number of labels; every label has the same number of training scenes.
        draw: Draws a training scene with a label.
        render: Renders its image.
        caption: Draws its caption.
        facts: Properties of the scene, for the sample's JSON record.
        classnames: Classes of the evaluation set.
        evaluation: Stream of the evaluation set.
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
