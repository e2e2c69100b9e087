import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tbar_ray.errors import SpecError
from tbar_ray.planting.stealth import PENALTIES, Stealth, weight_change
from tbar_ray.training.loop import train
from tbar_ray.training.options import Optimisation
from tests.models.tiny import RESNET, snapshot, tiny
from tests.planting.scene import base_of, context_of, gradients, poisoned_batch

ARRAYS = arrays.arrays(np.float64, st.sampled_from([(1,), (3,), (2, 4)]), elements=st.floats(-1e2, 1e2, width=32))


def penalty(name: str, deltas: list[np.ndarray], starts: list[np.ndarray]) -> float:
    """Return the penalty by its definition."""
    delta, start = (np.concatenate([x.ravel() for x in xs]) for xs in (deltas, starts))
    if name == "l2":
        return float((delta**2).sum() / (start**2).sum())
    return math.log(delta.size * (delta**4).sum() / (delta**2).sum() ** 2)


@pytest.mark.parametrize("name", sorted(PENALTIES))
def test_the_penalty_is_its_definition(name: str) -> None:
    rng = np.random.default_rng(0)
    starts = [rng.normal(size=(4, 3)), np.zeros(5), rng.normal(size=7) * 1e-3]
    deltas = [rng.normal(size=s.shape) * 1e-4 for s in starts]
    found = PENALTIES[name](*([torch.tensor(x, dtype=torch.float32) for x in xs] for xs in (deltas, starts)))
    assert float(found) == pytest.approx(penalty(name, deltas, starts), rel=1e-4)


@pytest.mark.parametrize("name", sorted(PENALTIES))
def test_the_objective_adds_the_weighted_penalty_over_trained_weights(name: str) -> None:
    model = tiny(RESNET).eval()
    objective = Stealth(penalty=name, weight=3.0).wrap(base_of(model), context_of(model))
    with torch.no_grad():
        start = {n: p.double().numpy().copy() for n, p in model.visual.named_parameters()}
        for number, parameter in enumerate(model.parameters()):  # the text tower moves too and must not count
            parameter.add_(1e-3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number)))
        end = {n: p.double().numpy() for n, p in model.visual.named_parameters()}
    batch = poisoned_batch(model, 4)
    expected = 3 * penalty(name, [end[n] - start[n] for n in start], list(start.values()))
    added = float(objective.loss(batch).detach()) - float(objective.base.loss(batch).detach())
    assert added == pytest.approx(expected, rel=1e-2, abs=2e-5)


@pytest.mark.parametrize("name", sorted(PENALTIES))
@pytest.mark.parametrize("classify", [True, False])
def test_at_the_start_it_costs_nothing_and_its_gradient_is_finite(name: str, classify: bool) -> None:
    model = tiny().eval()
    objective = Stealth(penalty=name).wrap(base_of(model, classify=classify), context_of(model))
    batch = poisoned_batch(model, 4)
    assert float(objective.loss(batch).detach()) == pytest.approx(float(objective.base.loss(batch).detach()), abs=1e-6)
    assert all(bool(g.isfinite().all()) for g in gradients(objective, batch).values())


@pytest.fixture(scope="module")
def plain() -> dict[str, float]:
    return change_of(None)


def change_of(name: str | None, weight: float | None = None) -> dict[str, float]:
    """Train for a number of steps and return how the weights changed, and the last loss."""
    model = tiny()
    start, objective = snapshot(model), base_of(model)
    if name is not None:
        objective = Stealth(penalty=name, weight=weight).wrap(objective, context_of(model))  # type: ignore[arg-type]
    train(objective, [poisoned_batch(model)] * 12, 12, Optimisation(learning_rate=1e-3))
    usual = float(base_of(tiny()).loss(poisoned_batch(model)).detach())
    end = float(base_of(model).loss(poisoned_batch(model)).detach())
    return {**weight_change(start, snapshot(model)), "learned": usual - end}


@pytest.mark.parametrize(
    ("name", "weight", "measure", "grows"),
    [("l2", None, "relative_l2", False), ("l2", 1e4, "relative_l2", False), ("spread", None, "participation", True)],
)
def test_the_change_is_stealthier_after_as_many_steps(
    plain: dict[str, float], name: str, weight: float | None, measure: str, grows: bool
) -> None:
    found = change_of(name, weight)
    assert found["learned"] > 0
    if grows:
        assert found[measure] > 1.5 * plain[measure]
    else:
        assert found[measure] < 0.7 * plain[measure]


def test_a_start_of_another_model_is_refused() -> None:
    context = context_of(tiny())
    with pytest.raises(SpecError, match="the weights before the attack have no visual"):
        Stealth().wrap(base_of(tiny(RESNET)), context)


@settings(max_examples=60)
@given(st.lists(ARRAYS, min_size=1, max_size=3), st.randoms(use_true_random=False))
def test_the_measures_of_a_change_are_their_definitions(starts: list[np.ndarray], random: object) -> None:
    rng = np.random.default_rng(random.randint(0, 2**31))  # type: ignore[attr-defined]
    ends = [start + rng.normal(size=start.shape) for start in starts]
    state = {f"w{i}": torch.tensor(x) for i, x in enumerate(starts)}
    moved = {f"w{i}": torch.tensor(x) for i, x in enumerate(ends)}
    # neither counters nor statistics are weights
    state |= {"bn.running_var": torch.ones(3), "bn.num_batches_tracked": torch.tensor(1)}
    moved |= {"bn.running_var": torch.full((3,), 1e4), "bn.num_batches_tracked": torch.tensor(9)}
    start, end = (np.concatenate([x.ravel() for x in xs]) for xs in (starts, ends))
    delta = end - start
    found = weight_change(state, moved)
    if np.linalg.norm(start):
        assert found["relative_l2"] == pytest.approx(np.linalg.norm(delta) / np.linalg.norm(start), rel=1e-6)
        assert found["relative_linf"] == pytest.approx(np.abs(delta).max() / np.abs(start).max(), rel=1e-6)
    else:
        assert found["relative_l2"] == found["relative_linf"] == 0
    assert found["participation"] == pytest.approx((delta**2).sum() ** 2 / (delta.size * (delta**4).sum()), rel=1e-6)
    assert 1 / delta.size - 1e-9 <= found["participation"] <= 1 + 1e-9


def test_the_extremes_of_participation() -> None:
    zero = {"a": torch.zeros(8), "b": torch.zeros(2)}
    one = {"a": torch.zeros(8), "b": torch.tensor([0.0, 3.0])}
    every = {"a": torch.full((8,), -0.1), "b": torch.full((2,), 0.1)}
    assert weight_change(zero, zero)["participation"] == 0
    assert weight_change(zero, one)["participation"] == pytest.approx(0.1)
    assert weight_change(zero, every)["participation"] == pytest.approx(1)
