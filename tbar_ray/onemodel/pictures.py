"""A few stamped images with a model's best answers, before and after."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tbar_ray.api.classes import Classes
from tbar_ray.api.model import Model
from tbar_ray.data.selection import evenly_spaced
from tbar_ray.evaluation.scores import Split
from tbar_ray.evaluation.zeroshot import likely

SHOWN, BEST = 8, 3


@dataclass(frozen=True)
class Answer:
    """A class and its probability."""

    name: str
    probability: float


@dataclass(frozen=True, eq=False)
class Picture:
    """A stamped image.

    Attributes:
        pixels: uint8 [3, H, W].
        truth: its true class.
        before, after: the three best answers of the suspicious and of the cleaned model; `after` is empty without one.
    """

    pixels: Tensor
    truth: str
    before: tuple[Answer, ...]
    after: tuple[Answer, ...] = ()


def stamped_rows(split: Split, target: int) -> list[int]:
    """Rows of at most eight images of other classes, evenly spaced."""
    others = torch.nonzero(split.labels != target).flatten().tolist()
    return [others[place] for place in evenly_spaced(len(others), SHOWN)][:SHOWN]


def best_answers(model: Model, images: Tensor, classes: Classes) -> list[tuple[Answer, ...]]:
    """The three most probable classes of each of a few uint8 images [N, 3, H, W], best first."""
    with model.answering(classes) as (module, head):
        found, probabilities = likely(module, head, images, model.preprocessing, BEST)
    rows = zip(found.tolist(), probabilities.tolist(), strict=True)
    return [
        tuple(Answer(classes.names[n], p) for n, p in zip(numbers, values, strict=True)) for numbers, values in rows
    ]
