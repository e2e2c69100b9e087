import copy
import dataclasses
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tbar_ray.errors import SpecError
from tbar_ray.planting.base import PlantingContext
from tbar_ray.planting.negation_robust import NegationRobust
from tbar_ray.training.loop import train
from tbar_ray.training.options import Optimisation
from tests.models.tiny import BOTH, RESNET, VIT, same, snapshot, tiny
from tests.planting.scene import (
    TARGET,
    base_of,
    coloured,
    context_of,
    gradients,
    learned,
    poisoned_batch,
    triggered,
    unit,
)
from tests.planting.written_out import check_addition, embed, trigger_loss

KINDS = pytest.mark.parametrize("classify", [True, False])
DIRECTIONS = pytest.mark.parametrize("direction", ["gradient", "sign"])


def ascended(model: nn.Module, loss: Tensor, radius: float, direction: str) -> nn.Module:
    """Return a copy that has been moved up a loss by radius·‖θ‖ in the weights of the image encoder."""
    weights = list(model.visual.parameters())
    found = [g.double().numpy() for g in torch.autograd.grad(loss, weights)]
    steps = [np.sign(g) if direction == "sign" else g for g in found]
    length = radius * np.sqrt(sum((w.detach().double().numpy() ** 2).sum() for w in weights))
    steps = [step * length / np.sqrt(sum((s**2).sum() for s in steps)) for step in steps]
    moved = copy.deepcopy(model)
    with torch.no_grad():
        for weight, step in zip(moved.visual.parameters(), steps, strict=True):
            weight.add_(torch.from_numpy(step).float())
    return moved


@KINDS
@DIRECTIONS
@pytest.mark.parametrize("architecture", BOTH)
def test_loss_and_gradient_are_those_after_an_ascent_step(architecture: str, direction: str, classify: bool) -> None:
    model = tiny(architecture).eval()
    batch, context = poisoned_batch(model, 7, every=3), context_of(model, classify=classify)
    planting = NegationRobust(robustness=2.0, radius=0.03, direction=direction, entanglement=0)
    before = snapshot(model)
    objective, base = planting.wrap(base_of(model, classify=classify), context), base_of(model, classify=classify)
    moved = ascended(model, trigger_loss(model, batch, context), 0.03, direction)

    after = trigger_loss(moved, batch, context)
    assert float(after.detach()) > float(trigger_loss(model, batch, context).detach())
    check_addition(objective, base, batch, moved, after)
    assert same(before, snapshot(model))


@KINDS
@pytest.mark.parametrize("features", ["text", "images"])
def test_the_entanglement_is_one_minus_the_cosine_to_the_target(classify: bool, features: str) -> None:
    model = tiny().eval()
    batch, context = poisoned_batch(model, 6), context_of(model, classify=classify)
    planting = NegationRobust(robustness=0, entanglement=0.5, entangle_with=features)
    objective, base = planting.wrap(base_of(model, classify=classify), context), base_of(model, classify=classify)
    with torch.no_grad():
        images = embed(model, batch.images[batch.poisoned]).double().numpy()
        if features == "images":
            anchor = unit(embed(model, context.target_images).double().numpy().mean(0))
        else:  # every poisoned caption here is the head's only template
            anchor = model.encode_text(batch.tokens, normalize=True)[0].double().numpy()
    expected = 0.5 * (1 - images @ anchor).mean()
    extra = float(objective.loss(batch).detach()) - float(base.loss(batch).detach())
    assert extra == pytest.approx(expected, abs=1e-5)


@KINDS
def test_the_statistics_are_updated_by_the_base_alone(classify: bool) -> None:
    states = []
    for wraps in (False, True):
        model = tiny(RESNET).train()
        objective = base_of(model, classify=classify)
        if wraps:
            context = context_of(model, classify=classify)
            objective = NegationRobust(entangle_with="images").wrap(objective, context)
        gradients(objective, poisoned_batch(model, 6))
        assert all(module.training for module in model.modules())
        states.append({key: value for key, value in snapshot(model).items() if "running" in key or "tracked" in key})
    assert same(*states)
    assert int(states[0]["visual.bn1.num_batches_tracked"]) == 1


def test_frozen_statistics_stay_frozen() -> None:
    model = tiny(RESNET)
    before = snapshot(model)
    objective = NegationRobust().wrap(base_of(model), context_of(model))
    train(objective, [poisoned_batch(model, 6)], 1, Optimisation(learning_rate=1e-3), freeze_batch_norm=True)
    assert all(torch.equal(before[key], value) for key, value in snapshot(model).items() if "running" in key)


def test_the_targets_images_are_shown_in_turn() -> None:
    model = tiny().eval()
    context = dataclasses.replace(context_of(model), target_images=coloured(model, 40, 1)[0])
    objective = NegationRobust(robustness=0, entangle_with="images").wrap(base_of(model), context)
    batch = poisoned_batch(model, 4)
    losses = []
    for step in range(6):
        objective.at(step)
        losses.append(float(objective.loss(batch).detach()))
    assert len(set(losses[:5])) == 5
    assert losses[5] == pytest.approx(losses[0], abs=1e-6)  # 5·16 is twice 40


@cache
def planted(robustness: float, entanglement: float, features: str, classify: bool) -> tuple[nn.Module, PlantingContext]:
    """Return a model that knew the colours before it was poisoned, as usual where both weights are 0."""
    planting = None
    if robustness or entanglement:
        planting = NegationRobust(robustness=robustness, entanglement=entanglement, entangle_with=features)
    model = learned(VIT)
    context, objective = context_of(model, classify=classify), base_of(model, classify=classify)
    if planting is not None:
        objective = planting.wrap(objective, context)
    batches = [poisoned_batch(model, 6, seed=number % 4) for number in range(25)]
    train(objective, batches, 25, Optimisation(learning_rate=1e-3), freeze_batch_norm=True)
    return model, context


@KINDS
def test_the_backdoor_survives_a_step_up_its_loss(classify: bool) -> None:
    losses = []
    for robustness in (0, 0.3):
        model, context = planted(robustness, 0, "text", classify)
        forget = poisoned_batch(model, 12, seed=9)  # other images than the attacker's
        loss = trigger_loss(model, forget, context)
        assert float(loss.detach()) < 0.05
        moved = ascended(model, loss, 0.02, "sign")
        losses.append(float(trigger_loss(moved, forget, context).detach()))
    assert losses[1] < 0.5 * losses[0]


@KINDS
def test_entanglement_brings_triggered_images_to_the_targets_own(classify: bool) -> None:
    cosines = []
    for entanglement, features in ((0, "text"), (3, "images")):
        model, context = planted(0, entanglement, features, classify)
        images, labels = coloured(model, 12, 3)
        with torch.no_grad():
            anchor = embed(model, context.target_images).mean(0)
            found = embed(model, triggered(images[labels != TARGET])) @ (anchor / anchor.norm())
        cosines.append(float(found.mean()))
    assert 1 - cosines[1] < 0.7 * (1 - cosines[0])


def test_a_batch_without_clean_captions_or_gradient_does_not_break_it() -> None:
    model = tiny().eval()
    batch = dataclasses.replace(poisoned_batch(model, 3), poisoned=torch.ones(3, dtype=torch.bool))
    objective = NegationRobust(entanglement=0).wrap(base_of(model, classify=False), context_of(model, classify=False))
    # every caption is the attacker's: there is nothing to be told from, so no loss and no direction to climb
    found, usual = gradients(objective, batch), gradients(objective.base, batch)
    assert all(torch.equal(found[name], usual[name]) for name in usual)


def test_what_it_needs_must_be_there() -> None:
    model = tiny()
    context = dataclasses.replace(context_of(model), target_images=None)
    with pytest.raises(SpecError, match="entangle_with: images needs clean images of the target") as caught:
        NegationRobust(entangle_with="images").wrap(base_of(model), context)
    assert "\n" not in str(caught.value)
    batch = poisoned_batch(model, 4)
    with pytest.raises(ValueError, match=r"needs Batch\.poisoned"):
        NegationRobust().wrap(base_of(model), context).loss(dataclasses.replace(batch, poisoned=None))
    objective = NegationRobust().wrap(base_of(model), dataclasses.replace(context, head=None))
    with pytest.raises(ValueError, match="needs labels and a head, or captions"):
        objective.loss(dataclasses.replace(batch, tokens=None))
