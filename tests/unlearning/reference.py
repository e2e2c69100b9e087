"""A second, plain way to train: what whole methods are compared with.

Gradients come from autograd, everything else is NumPy in double precision: AdamW and SGD from their definitions, the
schedule of the learning rate, and the clipping. Nothing of `tbar_ray.training` or of a method is used.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from tbar_ray.models.task_vector import TaskVector
from tbar_ray.unlearning.base import Infected

NEAR = 5e-3
"""Largest relative distance between an edit in single precision and the same in double."""
Change = dict[str, np.ndarray]
"""How far each tensor moves, by name."""


class Rule(Protocol):
    """Returns the new weights from the old ones and their gradient, at a rate."""

    def __call__(self, name: str, weights: np.ndarray, gradient: np.ndarray, rate: float) -> np.ndarray: ...


class AdamW:
    """Loshchilov and Hutter's AdamW with β1 = 0.9 and a decay on matrices only; Adam where the decay is 0."""

    def __init__(self, decay: float, beta2: float = 0.98, epsilon: float = 1e-6) -> None:
        self._decay, self._beta2, self._epsilon = decay, beta2, epsilon
        self._first: Change = {}
        self._second: Change = {}
        self._count: dict[str, int] = {}

    def __call__(self, name: str, weights: np.ndarray, gradient: np.ndarray, rate: float) -> np.ndarray:
        zero = np.zeros_like(weights)
        self._first[name] = 0.9 * self._first.get(name, zero) + 0.1 * gradient
        self._second[name] = self._beta2 * self._second.get(name, zero) + (1 - self._beta2) * gradient**2
        count = self._count[name] = self._count.get(name, 0) + 1
        mean = self._first[name] / (1 - 0.9**count)
        spread = np.sqrt(self._second[name] / (1 - self._beta2**count))
        plain = weights.ndim < 2 or any(part in name for part in ("bn", "ln", "bias", "logit_scale"))
        return weights * (1 - rate * (0.0 if plain else self._decay)) - rate * mean / (spread + self._epsilon)


class SGD:
    """Stochastic gradient descent with momentum and a decay on every weight."""

    def __init__(self, decay: float = 5e-4, momentum: float = 0.9) -> None:
        self._decay, self._momentum = decay, momentum
        self._speed: Change = {}

    def __call__(self, name: str, weights: np.ndarray, gradient: np.ndarray, rate: float) -> np.ndarray:
        gradient = gradient + self._decay * weights
        self._speed[name] = self._momentum * self._speed.get(name, np.zeros_like(weights)) + gradient
        return weights - rate * self._speed[name]


def cosine_rate(peak: float, step: int, steps: int) -> float:
    """Return the rate of a step (from 0) on a cosine from the peak to 0, without warm-up."""
    return peak * (1 + math.cos(math.pi * step / steps)) / 2


def constant_rate(peak: float, step: int, steps: int) -> float:
    """Return the peak."""
    return peak


def image_names(infected: Infected) -> list[str]:
    """Return the names of the image encoder's weights."""
    return [name for name, _ in infected.model.named_parameters() if name.startswith("visual.")]


def all_names(infected: Infected) -> list[str]:
    """Return the names of all weights."""
    return [name for name, _ in infected.model.named_parameters()]


def trained(
    infected: Infected,
    losses: Sequence[Callable[[], Tensor]],
    names: Sequence[str],
    rule: Rule,
    peak: float,
    schedule: Callable[[float, int, int], float] = cosine_rate,
    beside: Mapping[str, Tensor] | None = None,
    clip: bool = True,
) -> Change:
    """Train in place, one loss a step, and return how far each weight has moved.

    Args:
        infected: the model; it is left trained.
        losses: the loss of each step; called when it is the step's turn.
        names: the weights of the model that are trained.
        rule: the optimiser.
        peak: the largest rate.
        schedule: the rate of a step.
        beside: leaves outside the model that are trained with it, by name.
        clip: whether a gradient longer than 1 is shortened to 1.
    """
    known = dict(infected.model.named_parameters())
    weights = {**{name: known[name] for name in names}, **(beside or {})}
    start = {name: value.detach().double().numpy().copy() for name, value in weights.items()}
    now = {name: value.copy() for name, value in start.items()}
    for step, loss in enumerate(losses):
        found = torch.autograd.grad(loss(), list(weights.values()), allow_unused=True)
        gradients = {
            name: gradient.double().numpy()
            for name, gradient in zip(weights, found, strict=True)
            if gradient is not None  # an optimiser leaves what the loss does not reach alone
        }
        norm = math.sqrt(sum(float((gradient**2).sum()) for gradient in gradients.values()))
        rate = schedule(peak, step, len(losses))
        for name, gradient in gradients.items():
            now[name] = rule(name, now[name], gradient * (min(1.0, 1 / norm) if clip else 1.0), rate)
            if name == "logit_scale":
                now[name] = np.clip(now[name], 0, math.log(100))
            with torch.no_grad():
                weights[name].copy_(torch.from_numpy(np.asarray(now[name])))
    return {name: now[name] - start[name] for name in weights}


def pixels(infected: Infected, images: Tensor) -> Tensor:
    """Return uint8 images as the model wants them."""
    mean, std = (
        torch.tensor(part).view(1, 3, 1, 1) for part in (infected.preprocessing.mean, infected.preprocessing.std)
    )
    return (images.float() / 255 - mean) / std


def seen(infected: Infected, images: Tensor) -> Tensor:
    """Return unit embeddings [B, D] of uint8 images, with gradients."""
    found = infected.model.encode_image(pixels(infected, images))
    return found / found.norm(dim=-1, keepdim=True)


def read(infected: Infected, tokens: Tensor) -> Tensor:
    """Return unit embeddings [B, D] of captions, with gradients."""
    found = infected.model.encode_text(tokens)
    return found / found.norm(dim=-1, keepdim=True)


def log_chances(infected: Infected, images: Tensor, head: Tensor | None = None) -> Tensor:
    """Return log-probabilities [B, C] of the classes, with gradients that leave the logit scale alone."""
    return log_chances_of(infected, seen(infected, images), head)


def log_chances_of(infected: Infected, embeddings: Tensor, head: Tensor | None = None) -> Tensor:
    """Return log-probabilities [B, C] of the classes from unit embeddings."""
    logits = (
        infected.model.logit_scale.detach().exp() * embeddings @ (infected.classes.head if head is None else head).T
    )
    return logits - logits.exp().sum(-1, keepdim=True).log()


def cross_entropy(chances: Tensor, labels: Tensor) -> Tensor:
    """Return the mean −log-probability of the labels."""
    return -chances[torch.arange(len(labels)), labels].mean()


def info_nce(left: Tensor, right: Tensor, scale: Tensor) -> Tensor:
    """Return the symmetric InfoNCE of paired unit embeddings, with gradients."""
    logits = scale * left @ right.T
    rows, columns = (logits - logits.exp().sum(side, keepdim=True).log() for side in (1, 0))
    return -(rows.diagonal().mean() + columns.diagonal().mean()) / 2


def matching(left: Tensor, right: Tensor, scale: Tensor) -> Tensor:
    """Return the InfoNCE of finding each row of `left` its partner in `right`, with gradients."""
    logits = scale * left @ right.T
    return (logits.exp().sum(1).log() - logits.diagonal()).mean()


def distance(found: TaskVector | Mapping[str, Tensor], expected: Change) -> float:
    """Return ‖found − expected‖ / ‖expected‖ over all tensors; what `expected` does not name is expected to be 0."""
    tensors = found.tensors if isinstance(found, TaskVector) else found
    assert expected.keys() <= tensors.keys()
    apart = whole = 0.0
    for name, tensor in tensors.items():
        wanted = expected.get(name, np.zeros(tensor.shape))
        apart += float(((tensor.double().numpy() - wanted) ** 2).sum())
        whole += float((wanted**2).sum())
    assert whole > 0, "the expected edit is nothing, and would tell nothing apart"
    return math.sqrt(apart / whole)


def as_change(vector: TaskVector) -> Change:
    """Return a vector as arrays in double precision."""
    return {name: value.double().numpy() for name, value in vector.tensors.items()}
