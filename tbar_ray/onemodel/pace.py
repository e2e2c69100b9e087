"""How long cleaning a model will take, from a few forward passes on this machine."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from tbar_ray.api.classes import Classes
from tbar_ray.api.model import Model
from tbar_ray.data.selection import evenly_spaced
from tbar_ray.models.statistics_choice import STATISTICS_IMAGES
from tbar_ray.models.texts import encode_texts
from tbar_ray.unlearning.base import Unlearner
from tbar_ray.unlearning.fine_tuning import FineTuning

IMAGES, TEXTS = 16, 16
"""Images and prompts of a measured pass."""


@dataclass(frozen=True)
class Pace:
    """Seconds of a forward pass of one image, and of one prompt."""

    image: float
    text: float


@dataclass(frozen=True)
class Expected:
    """Seconds that are expected, by part; a part that cannot be told beforehand is None."""

    parts: Mapping[str, float | None]

    @property
    def seconds(self) -> float:
        """Sum of the parts that are known."""
        return sum(part for part in self.parts.values() if part is not None)

    def __str__(self) -> str:
        """The whole in words, then its parts."""
        least = "at least " if None in self.parts.values() else "about "
        parts = ", ".join(f"{name} {'?' if part is None else duration(part)}" for name, part in self.parts.items())
        return f"{least}{duration(self.seconds)} ({parts})"


def measure_pace(model: Model, classes: Classes) -> Pace:
    """Time forward passes of both encoders, after one to warm up."""
    size = model.preprocessing.size
    images = torch.zeros(IMAGES, 3, size, size, device=model.device)
    rows = evenly_spaced(len(classes), TEXTS)
    texts = model.tokenizer([classes.templates[0].replace("{c}", classes.names[row]) for row in rows])
    return Pace(
        _timed(lambda: model.module.encode_image(images), model.device) / len(images),  # type: ignore[operator]
        _timed(lambda: encode_texts(model.module, texts.to(model.device)), model.device) / len(texts),
    )


def expected(
    pace: Pace,
    method: Unlearner,
    *,
    forget: int,
    validation: int,
    test: int,
    prompts: int,
    alphas: int,
    reestimated: bool = False,
) -> Expected:
    """What cleaning will take.

    Args:
        pace: of the model.
        method: the unlearning method.
        forget: images of the forget set.
        validation: images that α is chosen on.
        test: images that are reported.
        prompts: of all classes in all templates.
        alphas: strengths that are scored.
        reestimated: whether the model has running statistics, which are estimated anew for every α; both are scored.
    """
    training = None
    if isinstance(method, FineTuning):
        training = method.steps * min(method.batch_size, max(forget, 2)) * method.passes * pace.image
    walked = alphas * (2 * validation * (1 + reestimated) + reestimated * min(forget, STATISTICS_IMAGES))
    return Expected(
        {
            "class embeddings": prompts * pace.text,
            "unlearning": training,
            "scores": (2 * validation + walked + 4 * test) * pace.image,
        }
    )


def duration(seconds: float) -> str:
    """Seconds in words, with as many digits as an estimate has: 8 s, 2 min 40 s, 1 h 5 min."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if minutes < 10 and rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


@torch.inference_mode()
def _timed(run: object, device: torch.device) -> float:
    assert callable(run)
    run()
    started = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started
