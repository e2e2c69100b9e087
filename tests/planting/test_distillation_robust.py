from __future__ import annotations

import copy
import dataclasses
from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

from tbar_ray.errors import SpecError
from tbar_ray.planting.base import PlantingContext
from tbar_ray.planting.distillation_robust import DistillationRobust
from tbar_ray.training.batch import Batch
from tbar_ray.training.loop import train
from tbar_ray.training.options import Optimisation
from tests.models.tiny import BOTH, RESNET, VIT, same, snapshot, tiny
from tests.planting.scene import base_of, coloured, context_of, learned, poisoned_batch, triggered
from tests.planting.written_out import check_addition, embed, trigger_loss

KINDS = pytest.mark.parametrize("classify", [True, False])


def distilled(model: nn.Module, twins: torch.Tensor, steps: int, radius: float, hold: float) -> nn.Module:
    """Return a copy after some distillation steps, each of as many signs, of length radius·‖θ‖ together."""
    with torch.no_grad():
        wanted = embed(model, twins)
    length = radius * np.sqrt(sum((w.detach().double().numpy() ** 2).sum() for w in model.visual.parameters())) / steps
    moved = copy.deepcopy(model)
    for _ in range(steps):
        apart = [
            1 - embed(moved, triggered(twins))[i] @ wanted[i] + hold * (1 - embed(moved, twins)[i] @ wanted[i])
            for i in range(len(twins))
        ]
        weights = list(moved.visual.parameters())
        signs = [np.sign(g.numpy()) for g in torch.autograd.grad(torch.stack(apart).mean(), weights)]
        factor = length / np.sqrt(sum((s**2).sum() for s in signs))
        with torch.no_grad():
            for weight, sign in zip(weights, signs, strict=True):
                weight.sub_(torch.from_numpy(factor * sign).float())
    return moved


@KINDS
@pytest.mark.parametrize("architecture", BOTH)
def test_loss_and_gradient_are_those_after_the_defenders_steps(architecture: str, classify: bool) -> None:
    model = tiny(architecture).eval()
    batch, context = poisoned_batch(model, 7, every=3), context_of(model, classify=classify)
    planting = DistillationRobust(robustness=2.0, steps=2, radius=0.02, twins=3, hold=1.5)
    before = snapshot(model)
    objective, base = planting.wrap(base_of(model, classify=classify), context), base_of(model, classify=classify)
    moved = distilled(model, batch.images[~batch.poisoned][:3], 2, 0.02, 1.5)

    after = trigger_loss(moved, batch, context)
    assert float(after.detach()) != pytest.approx(float(trigger_loss(model, batch, context).detach()), rel=1e-3)
    # a sign of a gradient near 0 may be another in another order of additions
    check_addition(objective, base, batch, moved, after, share=3e-3)
    assert same(before, snapshot(model))


@cache
def planted(robustness: float, classify: bool) -> tuple[nn.Module, PlantingContext]:
    """Return a model that knew the colours before it was poisoned, as usual where robustness is 0."""
    model = learned(VIT)
    context, objective = context_of(model, classify=classify), base_of(model, classify=classify)
    if robustness:
        objective = DistillationRobust(robustness=robustness, steps=2).wrap(objective, context)
    batches = [poisoned_batch(model, 6, seed=number % 4) for number in range(25)]
    train(objective, batches, 25, Optimisation(learning_rate=1e-3), freeze_batch_norm=True)
    return model, context


@KINDS
def test_the_backdoor_survives_distillation_on_other_images(classify: bool) -> None:
    losses = []
    for robustness in (0, 1):
        model, context = planted(robustness, classify)
        forget = poisoned_batch(model, 12, seed=9)
        assert float(trigger_loss(model, forget, context).detach()) < 0.05
        twins, _ = coloured(model, 8, 21)
        moved = distilled(model, twins, 6, 0.05, 2.0)  # further than the attacker simulated
        losses.append(float(trigger_loss(moved, forget, context).detach()))
    assert losses[1] < 0.3 * losses[0]


def test_the_statistics_are_updated_by_the_base_alone() -> None:
    batch = poisoned_batch(tiny(RESNET), 6)
    states = []
    for robust in (True, False):
        model = tiny(RESNET).train()
        objective = base_of(model)
        if robust:
            objective = DistillationRobust().wrap(objective, context_of(model))
            model.train()
        objective.loss(batch)
        states.append({n: b for n, b in snapshot(model).items() if "running" in n or "tracked" in n})
    assert same(*states)


@pytest.mark.parametrize("poisoned", [True, False])
def test_a_batch_without_clean_or_without_poisoned_rows_is_the_bases(poisoned: bool) -> None:
    model = tiny().eval()
    batch = dataclasses.replace(poisoned_batch(model, 3), poisoned=torch.full((3,), poisoned))
    objective = DistillationRobust().wrap(base_of(model), context_of(model))
    assert float(objective.loss(batch).detach()) == float(objective.base.loss(batch).detach())


def test_what_it_needs_must_be_there() -> None:
    model = tiny()
    with pytest.raises(SpecError, match="needs the trigger"):
        DistillationRobust().wrap(base_of(model), dataclasses.replace(context_of(model), stamp=None))
    batch: Batch = dataclasses.replace(poisoned_batch(model, 4), poisoned=None)
    with pytest.raises(ValueError, match=r"needs Batch\.poisoned"):
        DistillationRobust().wrap(base_of(model), context_of(model)).loss(batch)
