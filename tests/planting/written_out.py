"""The trigger's loss, written out row by row."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tbar_ray.evaluation.zeroshot import normalise
from tbar_ray.models.factory import preprocessing
from tbar_ray.planting.base import PlantingContext
from tbar_ray.training.batch import Batch
from tests.planting.scene import TARGET


def embed(model: nn.Module, images: Tensor) -> Tensor:
    return model.encode_image(normalise(images, preprocessing(model)), normalize=True)


def against(model: nn.Module, batch: Batch, context: PlantingContext) -> tuple[Tensor, list[list[int]], list[int]]:
    """Return texts, the columns that each poisoned row is compared to, and its own column, written out row by row."""
    rows = torch.nonzero(batch.poisoned).flatten().tolist()
    if context.head is not None:
        return context.head, [[0, 1, 2]] * len(rows), [TARGET] * len(rows)
    clean = [row for row in range(len(batch)) if not batch.poisoned[row] and batch.labels[row] != TARGET]
    with torch.no_grad():
        texts = model.encode_text(batch.tokens, normalize=True)
    return texts, [[row, *clean] for row in rows], rows


def trigger_loss(model: nn.Module, batch: Batch, context: PlantingContext) -> Tensor:
    """Return the trigger's loss, one row after the other."""
    texts, columns, own = against(model, batch, context)
    images = embed(model, batch.images[batch.poisoned])
    scale = model.logit_scale.detach().exp()
    losses = [
        torch.logsumexp(scale * texts[allowed] @ image, 0) - scale * texts[mine] @ image
        for image, allowed, mine in zip(images, columns, own, strict=True)
    ]
    return torch.stack(losses).mean()
