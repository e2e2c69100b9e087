"""How a trigger lies in weight space: lengths and angles of task vectors and of gradients.

All measures are of the image encoder's parameters at θ_pre. A head of class embeddings stays fixed, as in the
fine-tunings that the vectors come from (2212.04089).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from tbar_ray.errors import DataError
from tbar_ray.evaluation.normalised_images import NormalisedImages

Tensors = Mapping[str, Tensor]
QUARTERS = 4
"""Parts of the depth for which gradients are compared alone."""


@dataclass(frozen=True)
class Gradient:
    """The gradient of a mean loss.

    Attributes:
        tensors: by the parameters' names.
        depth: these names from the image's side to the embedding's.
    """

    tensors: Tensors
    depth: tuple[str, ...]


def length(tensors: Tensors) -> float:
    """‖v‖ = √Σ v_i² over all tensors, accumulated in float64."""
    return sqrt(dot(tensors, tensors))


def dot(first: Tensors, second: Tensors) -> float:
    """⟨u, v⟩ = Σ u_i·v_i over the tensors of `first`, which `second` has too; accumulated in float64."""
    pairs = ((u.detach().double(), second[name].detach().double()) for name, u in first.items())
    return float(sum(float((u * v.to(u.device)).sum()) for u, v in pairs))


def cosine(first: Tensors, second: Tensors) -> float | None:
    """⟨u, v⟩ / (‖u‖·‖v‖) over the tensors of `first`, in [−1, 1]; None if either is zero."""
    same = {name: second[name] for name in first}
    lengths = length(first) * length(same)
    return max(-1.0, min(1.0, dot(first, same) / lengths)) if lengths else None


def relative_length(vector: Tensors, start: Tensors) -> float | None:
    """‖τ‖ / ‖θ‖ over the tensors of `start`, at least 0; None if θ is zero."""
    whole = length(start)
    return length({name: vector[name] for name in start}) / whole if whole else None


def image_weights(model: nn.Module) -> dict[str, nn.Parameter]:
    """Parameters of a CLIP model's image encoder, by their names in the whole model."""
    return {f"visual.{name}": p for name, p in model.visual.named_parameters()}  # type: ignore[union-attr]


def loss_gradient(model: nn.Module, head: Tensor, images: NormalisedImages, labels: Tensor) -> Gradient:
    """∇_θ of the mean cross-entropy of scale·⟨image, class⟩ over some images, θ being the image encoder's parameters.

    The model must be in evaluation mode, so that the gradient depends on no batch. Nothing of it changes.

    Args:
        model: a CLIP model.
        head: float [C, D], class embeddings on the model's device.
        images: the N images.
        labels: int64 [N], the classes that they are trained towards.

    Raises:
        DataError: if images and labels differ in number.
    """
    if len(images) != len(labels):
        raise DataError(f"gradient: {len(images)} images but {len(labels)} labels")
    weights, reached = image_weights(model), list[str]()
    total = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    # a backward pass comes to the last layers first
    hooks = [
        weight.register_hook(lambda _, name=name: reached.append(name))  # type: ignore[no-untyped-call]
        for name, weight in weights.items()
    ]
    start = 0
    try:
        for batch in images:
            own = labels[start : start + len(batch)].to(batch.device)
            start += len(batch)
            with torch.enable_grad():
                features = model.encode_image(batch, normalize=True)  # type: ignore[operator]
                logits = model.logit_scale.detach().exp() * features @ head.detach().T  # type: ignore[operator]
                loss = functional.cross_entropy(logits, own, reduction="sum") / len(labels)
            found = torch.autograd.grad(loss, list(weights.values()), allow_unused=True)
            for name, gradient in zip(weights, found, strict=True):
                if gradient is not None:
                    total[name] += gradient
    finally:
        for hook in hooks:
            hook.remove()
    return Gradient(total, tuple(dict.fromkeys(reversed(reached))))


def overlap(first: Gradient, second: Gradient) -> float | None:
    """Cosine of two gradients, in [−1, 1]: above 0, a step that lowers one loss lowers the other; None if one is 0."""
    return cosine(first.tensors, second.tensors)


def overlap_by_depth(first: Gradient, second: Gradient, parts: int = QUARTERS) -> tuple[float | None, ...]:
    """The overlap within each of `parts` runs of tensors, from the image's side to the embedding's.

    The runs hold equally many tensors, up to one, not equally many weights.
    """
    runs = [run.tolist() for run in np.array_split(np.array(first.depth), parts)]
    return tuple(cosine({name: first.tensors[name] for name in run}, second.tensors) for run in runs)
