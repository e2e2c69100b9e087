import dataclasses

import pytest
import torch

from tbar_ray.errors import SpecError
from tbar_ray.planting.base import Planting
from tbar_ray.planting.registry import PLANTINGS, build_planting
from tbar_ray.training.loop import train
from tbar_ray.training.options import Optimisation
from tests.models.tiny import RESNET, same, snapshot, tiny
from tests.planting.scene import base_of, context_of, poisoned_batch

EVERY = pytest.mark.parametrize("name", sorted(PLANTINGS))


def test_every_planting_is_registered_by_its_own_name() -> None:
    assert {"standard", "badmerging", "negation-robust", "stealth"} <= PLANTINGS.keys()
    assert all(issubclass(kind, Planting) and kind.name == name for name, kind in PLANTINGS.items())


@EVERY
def test_a_planting_is_a_frozen_hashable_value(name: str) -> None:
    planting = build_planting(name, {})
    assert planting == build_planting(name, {})
    assert hash(planting) == hash(build_planting(name, {}))
    assert type(planting).model_validate_json(planting.model_dump_json()) == planting


@EVERY
@pytest.mark.parametrize("classify", [True, False])
def test_the_same_seed_gives_the_same_bits_and_the_modes_are_put_back(name: str, classify: bool) -> None:
    planting = build_planting(name, {})
    if planting.needs_head and not classify:
        with pytest.raises(SpecError):
            planting.wrap(base_of(tiny(), classify=False), context_of(tiny(), classify=False))
        return
    states = []
    for _ in range(2):
        model = tiny(RESNET)
        objective = planting.wrap(base_of(model, classify=classify), context_of(model, classify=classify))
        train(objective, [poisoned_batch(model, 6)] * 2, 2, Optimisation(learning_rate=1e-3))
        states.append(snapshot(model))
        assert not any(module.training for module in model.modules())
        assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert same(*states)
    assert not same(states[0], snapshot(tiny(RESNET)))


@EVERY
def test_a_clean_batch_has_the_usual_loss_at_the_start(name: str) -> None:
    model = tiny().eval()
    batch = poisoned_batch(model, 4)
    batch = dataclasses.replace(batch, poisoned=torch.zeros(4, dtype=torch.bool))
    objective = build_planting(name, {}).wrap(base_of(model), context_of(model))
    assert float(objective.loss(batch).detach()) == pytest.approx(float(base_of(model).loss(batch).detach()), abs=1e-5)


def test_plantings_combine() -> None:
    model = tiny().eval()
    context = context_of(model)
    inner = build_planting("badmerging", {}).wrap(base_of(model), context)
    both = build_planting("stealth", {}).wrap(build_planting("negation-robust", {}).wrap(inner, context), context)
    assert both.named_parameters().keys() == base_of(model).named_parameters().keys()
    batch = poisoned_batch(model, 4)
    assert float(both.loss(batch).detach()) > float(base_of(model).loss(batch).detach())


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("stelth", {}, "unknown planting 'stelth'; did you mean 'stealth'"),
        (
            "xyz",
            {},
            "unknown planting 'xyz'; known: badmerging, distillation-robust, negation-robust, standard, stealth",
        ),
        ("standard", {"weight": 1}, "planting 'standard': weight: "),
        ("badmerging", {"lowst": 0.1}, "planting 'badmerging': lowst: .*; did you mean 'lowest'"),
        ("badmerging", {"lowest": 0.5, "highest": 0.4}, r"lowest \(0.5\) is above highest \(0.4\)"),
        ("badmerging", {"weight": 0}, "weight: .*greater than 0"),
        ("negation-robust", {"radius": -1}, "radius: .*greater than or equal to 0"),
        ("negation-robust", {"direction": "up"}, "direction: .*'sign' or 'gradient'"),
        ("stealth", {"weight": float("nan")}, "weight: "),
        ("stealth", {"penalty": "l1"}, "penalty: .*'l2' or 'spread'"),
    ],
)
def test_bad_names_and_parameters_are_one_line(name: str, parameters: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        build_planting(name, parameters)
    assert "\n" not in str(caught.value)
