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
from tbar_ray.triggers.proxy import Proxy

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


def trigger_picture(trigger: Proxy) -> tuple[Tensor, str]:
    """A found trigger to be looked at, uint8 [3, s, s], and how it is shown.

    A patch lies on grey. Noise is made as strong as the picture can hold. A warp bends a chessboard, and a network
    changes one: what it adds differs between images.
    """
    side = trigger.side
    if trigger.flow or trigger.network:
        squares = (torch.arange(side) // max(1, side // 16)) % 2
        board = (squares[:, None] ^ squares[None, :]).float().expand(3, -1, -1)
        return _levels(trigger(board[None], [""])[0]), f"a chessboard under its {'warp' if trigger.flow else 'network'}"
    grey = torch.full((1, 3, side, side), 0.5)
    changed = trigger(grey, [""])[0] - 0.5
    if trigger.keep:
        return _levels(0.5 + changed), f"on grey; it covers {100 * float(trigger.mask().mean()):.1f} % of an image"
    factor = max(1.0, 0.5 / max(1e-6, float(changed.abs().max())))
    stronger = f", {factor:.1f} times as strong as it is" if factor > 1 else ""
    return _levels(0.5 + factor * changed), f"noise on grey{stronger}"


def _levels(image: Tensor) -> Tensor:
    return image.mul(255).round().clamp(0, 255).to(torch.uint8)
