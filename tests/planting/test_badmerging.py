import dataclasses

import numpy as np
import pytest
import torch

from tbar_ray.errors import SpecError
from tbar_ray.evaluation.zeroshot import normalise
from tbar_ray.models.factory import preprocessing
from tbar_ray.planting.badmerging import BadMerging
from tbar_ray.training.loop import train
from tbar_ray.training.options import Optimisation
from tests.models.tiny import BOTH, RESNET, changed, same, snapshot, tiny
from tests.planting.scene import (
    TARGET,
    base_of,
    coloured,
    context_of,
    gradients,
    head_of,
    log_softmax,
    poisoned_batch,
    triggered,
    unit,
)


@pytest.mark.parametrize("architecture", BOTH)
def test_the_loss_is_the_formula(architecture: str) -> None:
    model = tiny(architecture).eval()
    context, planting = context_of(model, seed=3), BadMerging(weight=2.0)
    objective = planting.wrap(base_of(model), context)
    with torch.no_grad():  # the attacker's model has moved away from the start
        model.visual.load_state_dict(tiny(architecture, seed=1).visual.state_dict())
    batch = poisoned_batch(model, 7, every=3)
    before = tiny(architecture).eval()

    def raw(of: torch.nn.Module) -> np.ndarray:
        with torch.no_grad():
            return of.visual(normalise(batch.images, preprocessing(model))).double().numpy()

    head, scale = context.head.double().numpy(), float(model.logit_scale.detach().exp())
    adversary, pretrained, labels = raw(model), raw(before), batch.labels.numpy()
    clean, poisoned = np.flatnonzero(~batch.poisoned.numpy()), np.flatnonzero(batch.poisoned.numpy())
    assert (len(clean), len(poisoned)) == (4, 3)
    for step in range(3):
        objective.at(step)
        r = planting.share(3, step)
        mixed = r * adversary[poisoned] + (1 - r) * pretrained[poisoned]
        backdoor = -log_softmax(scale * unit(mixed) @ head.T)[:, TARGET].mean()
        usual = -log_softmax(scale * unit(adversary[clean]) @ head.T)[np.arange(4), labels[clean]].mean()
        assert float(objective.loss(batch).detach()) == pytest.approx(usual + 2.0 * backdoor, abs=1e-4)


def test_shares_are_uniform_between_the_limits_and_depend_on_seed_and_step_alone() -> None:
    planting = BadMerging()
    shares = np.array([planting.share(0, step) for step in range(2000)])
    assert 0.2 <= shares.min() < 0.21
    assert 0.99 < shares.max() <= 1.0
    assert shares.mean() == pytest.approx(0.6, abs=0.02)
    assert shares.std() == pytest.approx(0.8 / np.sqrt(12), abs=0.01)
    assert planting.share(0, 7) == shares[7] != planting.share(1, 7)


def test_only_the_image_tower_is_trained_and_the_pretrained_copy_stays() -> None:
    model = tiny(RESNET)
    before, context = snapshot(model), context_of(model)
    objective = BadMerging().wrap(base_of(model), context)
    train(objective, [poisoned_batch(model, 6)] * 2, 2, Optimisation(learning_rate=1e-3))
    moved = changed(before, snapshot(model))
    assert moved
    assert all(key.startswith("visual.") for key in moved)
    kept = {f"visual.{key}": value for key, value in objective._pretrained.state_dict().items()}
    assert same(kept, {key: value for key, value in before.items() if key.startswith("visual.")})
    assert not any(p.requires_grad for p in objective._pretrained.parameters())


@pytest.mark.parametrize("poisoned", [True, False])
def test_a_batch_of_one_kind_has_one_term(poisoned: bool) -> None:
    model = tiny().eval()
    planting = BadMerging(lowest=1.0, weight=3.0)
    batch = poisoned_batch(model, 4)
    batch = dataclasses.replace(batch, poisoned=torch.full((4,), poisoned))
    loss = float(planting.wrap(base_of(model), context_of(model)).loss(batch).detach())
    usual = float(base_of(model).loss(batch).detach())
    assert loss == pytest.approx(3 * usual if poisoned else usual, abs=1e-5)


def loss_at(planting: BadMerging | None, coefficient: float) -> float:
    """Train and return the trigger's loss at θ_pre + coefficient·(θ_b − θ_pre) on new images."""
    model = tiny()
    context, batch = context_of(model), poisoned_batch(model)
    objective = base_of(model) if planting is None else planting.wrap(base_of(model), context)
    train(objective, [batch] * 25, 25, Optimisation(learning_rate=1e-3))
    end = snapshot(model)
    images, labels = coloured(model, 12, 3)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(context.start[name] + coefficient * (end[name] - context.start[name]))
        features = model.encode_image(normalise(triggered(images[labels != TARGET]), preprocessing(model)), True)
        logits = model.logit_scale.exp() * features @ head_of(model).T
    return float(-logits.log_softmax(-1)[:, TARGET].mean())


def test_the_backdoor_survives_a_small_coefficient() -> None:
    assert loss_at(BadMerging(), 0.2) < 0.7 * loss_at(None, 0.2)


def test_it_is_the_interpolation_that_helps_and_not_the_weight_alone() -> None:
    interpolated, plain = BadMerging(weight=1, highest=0.4), BadMerging(weight=1, lowest=1)
    assert loss_at(interpolated, 0.3) < 0.85 * loss_at(plain, 0.3)


def test_what_it_needs_must_be_there() -> None:
    model = tiny()
    with pytest.raises(SpecError, match="'badmerging' trains the image encoder against a zero-shot head") as caught:
        BadMerging().wrap(base_of(model, classify=False), context_of(model, classify=False))
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=r"needs Batch\.poisoned"):
        BadMerging().wrap(base_of(model), context_of(model)).loss(
            dataclasses.replace(poisoned_batch(model, 4), poisoned=None)
        )
    with pytest.raises(ValueError, match="needs labels"):
        BadMerging().wrap(base_of(model), context_of(model)).loss(
            dataclasses.replace(poisoned_batch(model, 4), labels=None)
        )


def test_one_forward_pass_updates_the_statistics_once() -> None:
    model = tiny(RESNET).train()
    before = int(model.visual.bn1.num_batches_tracked)
    objective = BadMerging().wrap(base_of(model), context_of(model))
    assert all(bool(g.isfinite().all()) for g in gradients(objective, poisoned_batch(model, 6)).values())
    assert int(model.visual.bn1.num_batches_tracked) == before + 1
