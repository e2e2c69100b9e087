"""What plantings that anticipate a defence share: the trigger's loss, and the image encoder at other weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from tbar_ray.models.texts import encode_texts
from tbar_ray.training.batch import Batch
from tbar_ray.training.objectives import Objective

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Texts:
    """Unit text embeddings [C, D], the row's own text [P] for each poisoned row, and excluded texts [P, C]."""

    embeddings: Tensor
    own: Tensor
    others: Tensor | None = None


@torch.no_grad()
def texts_of(model: nn.Module, batch: Batch, rows: Tensor, head: Tensor | None) -> Texts:
    """Texts that the poisoned rows are classified against.

    With a head and labels, the head's classes. Otherwise the row's own caption and the different captions of the
    batch's clean rows: captions of other poisoned rows name the target too, and are excluded.

    Raises:
        ValueError: if the batch has neither.
    """
    if head is not None and batch.labels is not None:
        return Texts(head.detach(), batch.labels[rows])
    if batch.tokens is None or batch.poisoned is None:
        raise ValueError("this planting needs labels and a head, or captions")
    embeddings = encode_texts(model, batch.tokens)
    equal = (batch.tokens[rows, None] == batch.tokens).all(-1)
    others = batch.poisoned | equal
    others[torch.arange(len(rows), device=rows.device), rows] = False
    return Texts(embeddings, rows, others)


def trigger_loss(model: nn.Module, embeddings: Tensor, texts: Texts) -> Tensor:
    """Cross-entropy of poisoned rows, logits scale·⟨image, text⟩; the scale is a constant.

    Args:
        model: whose scale counts.
        embeddings: unit embeddings [P, D] of the poisoned rows' images.
        texts: what they are classified against.
    """
    logits = model.logit_scale.detach().exp() * embeddings @ texts.embeddings.T  # type: ignore[operator]
    if texts.others is not None:
        logits = logits.masked_fill(texts.others, -torch.inf)
    loss: Tensor = functional.cross_entropy(logits, texts.own)
    return loss


class ImageEncoder(nn.Module):
    """The model's image encoder as a module, as `functional_call` requires; unit embeddings [B, D]."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """Embed normalised images, float [B, 3, H, W]."""
        embeddings: Tensor = self.model.encode_image(images, normalize=True)  # type: ignore[operator]
        return embeddings


def image_weights(objective: Objective) -> Weights:
    """Trained weights of the image encoder, by their names in `ImageEncoder`."""
    trained = {id(parameter) for parameter in objective.named_parameters().values()}
    return {
        f"model.visual.{name}": parameter
        for name, parameter in objective.model.visual.named_parameters()  # type: ignore[union-attr]
        if id(parameter) in trained
    }


@contextmanager
def running_statistics(model: nn.Module) -> Iterator[None]:
    """Make BatchNorm use its running statistics without updating them."""
    training = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training]
    for module in training:
        module.eval()
    try:
        yield
    finally:
        for module in training:
            module.train()


def stepped(weights: Weights, steps: Sequence[Tensor], length: Tensor) -> Weights:
    """Weights moved along a direction, one tensor for each, by a Euclidean length; below 0: against it."""
    factor = length / norm(steps).clamp_min(torch.finfo(torch.float32).tiny)
    return {name: w + factor * step for (name, w), step in zip(weights.items(), steps, strict=True)}


def norm(tensors: Sequence[Tensor]) -> Tensor:
    """Euclidean norm over all tensors."""
    found: Tensor = torch.stack(torch._foreach_norm(list(tensors))).norm()
    return found
