"""The trigger's loss, written out row by row."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tbar_ray.evaluation.zeroshot import normalise
from tbar_ray.models.factory import preprocessing
from tbar_ray.planting.base import PlantingContext
from tbar_ray.training.batch import Batch
from tbar_ray.training.objectives import Objective
from tests.planting.scene import TARGET, gradients


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


def check_addition(
    objective: Objective, base: Objective, batch: Batch, moved: nn.Module, after: Tensor, share: float = 1e-3
) -> None:
    """Check that an objective is its base and twice a loss of a moved copy, in value and gradient.

    Args:
        objective: that is checked.
        base: the plain one, on the same model.
        batch: that both are of.
        moved: a copy of the model with other weights of the image encoder.
        after: the loss of the copy.
        share: of the largest gradient that another may differ by.
    """
    loss, usual = float(objective.loss(batch).detach()), float(base.loss(batch).detach())
    assert loss == pytest.approx(usual + 2 * float(after.detach()), rel=1e-3)
    there = torch.autograd.grad(after, list(moved.visual.parameters()))
    extra = {f"visual.{n}": g for (n, _), g in zip(moved.visual.named_parameters(), there, strict=True)}
    found, plain = gradients(objective, batch), gradients(base, batch)
    expected = {name: plain[name] + 2 * extra[name] if name in extra else plain[name] for name in plain}
    largest = max(float(g.abs().max()) for g in expected.values())
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-2, atol=share * largest)
