import numpy as np
import torch
from torch import Tensor

from tbar_ray.seeding import torch_generator
from tbar_ray.unlearning.base import Infected
from tbar_ray.unlearning.methods.shapley_pruning import ShapleyPruning
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
