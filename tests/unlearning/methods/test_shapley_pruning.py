from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
from torch import Tensor

from tbar_ray.seeding import torch_generator
from tbar_ray.unlearning.base import Infected
from tbar_ray.unlearning.methods.shapley_pruning import ShapleyPruning, shapley_values
from tests.models.tiny import VIT, snapshot
from tests.unlearning.formulas import chances_of
from tests.unlearning.planted import TARGET, case
from tests.unlearning.reference import distance

GROUP, ORDERS = 192, 3


def test_the_channels_with_the_greatest_shapley_value_are_set_to_0() -> None:
    planted = case(VIT)
    infected = Infected(planted.model, snapshot(planted.model), planted.data, planted.preprocess, 0)
    method = ShapleyPruning(images=4, permutations=ORDERS, group=GROUP, floor=-1000.0, share=0.26)
    layers = [name for name in infected.start if name.startswith("visual.") and name.endswith("c_fc.weight")]
    players = [(name, start) for name in layers for start in range(0, len(infected.start[name]), GROUP)]

    def without(gone: list[int]) -> dict[str, Tensor]:
        state = {name: value.clone() for name, value in infected.start.items()}
        for player in gone:
            name, start = players[player]
            state[name][start : start + GROUP] = 0
            state[name.replace("weight", "bias")][start : start + GROUP] = 0
        return state

    def worth(gone: list[int]) -> float:
        infected.model.load_state_dict(without(gone))
        return float(chances_of(infected, infected.forget.images[:4])[:, TARGET].mean())

    try:
        found = method.find(infected)
        values = np.zeros(len(players))
        for number in range(ORDERS):
            order = torch.randperm(len(players), generator=torch_generator(0, "shapley order", number)).tolist()
            worths = [worth(order[:size]) for size in range(len(order) + 1)]
            values[order] += -np.diff(worths) / ORDERS
        best = values.argsort()[::-1][:2].tolist()  # 26 % of 8 groups
        pruned = without(best)
        expected = {name: (pruned[name] - infected.start[name]).double().numpy() for name in pruned}
        assert distance(found.edit.vector, expected) < 1e-6
        assert found.facts["pruned"] == 2 * GROUP
    finally:
        infected.restore()


def brute_force(players: int, worth: dict[frozenset[int], float]) -> list[float]:
    """Return Shapley values by their definition: mean marginal contribution over all orders of arrival."""
    values = np.zeros(players)
    orders = list(permutations(range(players)))
    for order in orders:
        for place, player in enumerate(order):
            before = frozenset(order[:place])
            values[player] += worth[before | {player}] - worth[before]
    return (values / len(orders)).tolist()


def test_shapley_values_over_all_orders_are_the_definition() -> None:
    rng, players = np.random.default_rng(0), 4
    worth = {frozenset(i for i in range(players) if number >> i & 1): float(rng.normal()) for number in range(16)}

    def of(present: Tensor) -> float:
        return worth[frozenset(torch.nonzero(present).flatten().tolist())]

    orders = [torch.tensor(order) for order in permutations(range(players))]
    found = shapley_values(players, of, orders, -1e9)
    assert found.tolist() == pytest.approx(brute_force(players, worth))


def test_an_order_ends_at_the_floor_and_credits_nobody_after_it() -> None:
    calls = []

    def worth(present: Tensor) -> float:
        calls.append(present.tolist())
        return float(present.sum()) - 4

    values = shapley_values(4, worth, [torch.tensor([2, 0, 1, 3])], -1.5)
    assert values.tolist() == [1.0, 0.0, 1.0, 0.0]
    assert calls == [[True] * 4, [True, True, False, True], [False, True, False, True]]
