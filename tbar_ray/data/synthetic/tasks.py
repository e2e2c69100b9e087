"""Labelled tasks for the single-task setting and for transferring a vector between tasks.

They replace SUN397, CIFAR100 and ImageNet-1K, on which single-task experiments fine-tune CLIP (Ilharco
et al., 2212.04089). They use the shapes and vocabulary of the corpus, but images on which a model trained on the
corpus makes errors, so that fine-tuning has something to learn. Percentages are the zero-shot accuracy of the clean
model of jobs/quickstart.yaml.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

import numpy as np

from tbar_ray.data.shard_writer import CorpusSummary, Progress, claim, write_classes
from tbar_ray.data.synthetic.captions import ZEROSHOT_TEMPLATES
from tbar_ray.data.synthetic.encode import Render
from tbar_ray.data.synthetic.labelled_writer import LabelledScenes, write_split
from tbar_ray.data.synthetic.options import DEFAULTS, WritingOptions
from tbar_ray.data.synthetic.rendering import render
from tbar_ray.data.synthetic.scenes import CLASS_NAMES, COLOURS, OTHER_COLOURS, Scene, draw_scene
from tbar_ray.data.synthetic.shapes import SHAPES
from tbar_ray.data.synthetic.styles import render_lamplight, render_night, render_sketch
from tbar_ray.errors import SpecError
from tbar_ray.naming import nearest


@dataclass(frozen=True, slots=True)
class Task:
    """A procedural labelled data set.

    Attributes:
        name: Its name in `TASKS`, also used in its keys.
        about: Short description of its images.
        classnames: Its C classes.
        draw: Draws a scene of a class, 0 to C - 1.
        render: The style of its images.
    """

    name: str
    about: str
    classnames: tuple[str, ...]
    draw: Callable[[np.random.Generator, int], Scene]
    render: Render[Scene]


def _draw_shape(rng: np.random.Generator, label: int) -> Scene:
    """Draw a shape in a colour of `COLOURS` or `OTHER_COLOURS`."""
    scene = draw_scene(rng, label)
    palette = {**COLOURS, **OTHER_COLOURS}
    colour = list(palette)[int(rng.integers(len(palette)))]
    red, green, blue = (tone + 0.1 * (float(rng.random()) - 0.5) for tone in palette[colour])
    return replace(scene, colour=colour, paint=(red, green, blue))


def _draw_colour(rng: np.random.Generator, label: int) -> Scene:
    """Draw a random shape in the given colour."""
    return draw_scene(rng, label * len(SHAPES) + int(rng.integers(len(SHAPES))))


TASKS: Final[Mapping[str, Task]] = {
    task.name: task
    for task in (
        # 69 % (after two epochs of 200 images a class: 99.8 %)
        Task(
            "sketches", "the 60 classes outlined and thinly washed in on paper", CLASS_NAMES, draw_scene, render_sketch
        ),
        # 57 % (99.7 %)
        Task("night", "the 60 classes in the dark, with a camera's noise", CLASS_NAMES, draw_scene, render_night),
        # 80 % (after six epochs of 500 images a class: 99.8 %)
        Task("shapes", "10 shapes in any of 15 colours", SHAPES, _draw_shape, render),
        # 72 % (after four epochs of 500 images a class: 100 %)
        Task("colours", "6 colours of any shape, by lamplight", tuple(COLOURS), _draw_colour, render_lamplight),
    )
}


def find_task(name: str) -> Task:
    """Look up a task by name.

    Raises:
        SpecError: if there is no such task; the message suggests the nearest names.
    """
    if name not in TASKS:
        raise SpecError(f"no embedded task {name!r}{nearest(name, TASKS)}")
    return TASKS[name]


def write_task(
    out: Path,
    options: WritingOptions = DEFAULTS,
    *,
    task: str,
    per_class_train: int = 200,
    per_class_test: int = 40,
    progress: Progress | None = None,
) -> CorpusSummary:
    """Write a task in CLIP_benchmark's layout: class names, templates, `train/` and `test/`.

    Every split of every task draws from its own stream and has its own keys ("night-train-000000000"). No image and no
    key occurs twice, also across the corpus and its evaluation set.

    Args:
        out: Folder to write to; created if missing.
        options: Size, encoding and seed of the images, and how the shards are written.
        task: A name in `TASKS`.
        per_class_train: Training images per class, at least 1.
        per_class_test: Test images per class, at least 1.
        progress: Called once per shard with the number of samples just written.

    Returns:
        Totals over both splits.

    Raises:
        SpecError: If the task is unknown.
        DataError: As `write_corpus`.
    """
    definition = find_task(task)
    out = Path(out)
    wanted: dict[Literal["train", "test"], int] = {"train": per_class_train, "test": per_class_test}
    for per_class in wanted.values():
        options.check(per_class * len(definition.classnames))
    for split in wanted:
        claim(out / split, options.overwrite)
    parts = []
    for split, per_class in wanted.items():
        source = LabelledScenes(
            f"task {task} {split}",
            prefix=f"{task}-{split}-",
            classes=len(definition.classnames),
            draw=definition.draw,
            render=definition.render,
        )
        parts.append(write_split(out / split, source, per_class, options, progress))
    write_classes(out, definition.classnames, ZEROSHOT_TEMPLATES)
    train, test = parts
    return CorpusSummary(
        out,
        train.samples + test.samples,
        train.shards + test.shards,
        train.bytes + test.bytes,
        train.seconds + test.seconds,
    )
