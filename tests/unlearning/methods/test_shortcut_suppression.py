"""Shortcut suppression against a search that scales the weights by hand."""

from collections.abc import Mapping

import pytest
from torch import Tensor

from tbar_ray.training.shuffled import shuffled
from tbar_ray.unlearning.base import Infected
from tbar_ray.unlearning.methods.shortcut_suppression import ShortcutSuppression
from tests.models.tiny import VIT
from tests.unlearning.formulas import chances_of, infected_of
from tests.unlearning.planted import TARGET
from tests.unlearning.reference import NEAR, SGD, cross_entropy, distance, image_names, log_chances, trained


def writers(infected: Infected) -> dict[str, str]:
    """Return the map that ends each residual branch of the vision transformer, by the branch's name."""
    ends = {"attn": "out_proj", "mlp": "c_proj"}
    blocks = [f"transformer.resblocks.{n}" for n in range(len(infected.model.visual.transformer.resblocks))]
    return {f"{block}.{part}": f"visual.{block}.{part}.{end}" for block in blocks for part, end in ends.items()}


def scaled(infected: Infected, writer: str, factor: float) -> dict[str, Tensor]:
    """Return the infected weights with one branch scaled."""
    parts = (f"{writer}.weight", f"{writer}.bias")
    return {**infected.start, **{name: factor * infected.start[name] for name in parts}}


@pytest.mark.parametrize("steps", [0, 2])
def test_the_branch_whose_scaling_lowers_asr_most_is_cut_and_the_rest_is_fine_tuned(steps: int) -> None:
    infected = infected_of(VIT)
    method = ShortcutSuppression(levels=3, steps=steps, batch_size=8, learning_rate=0.01)
    found = method.find(infected)
    infected.restore()
    forget, drops = infected.forget, {}

    def asr(state: Mapping[str, Tensor]) -> float:
        infected.model.load_state_dict(dict(state))
        return float((chances_of(infected, forget.images).argmax(1) == TARGET).mean())

    before = asr(infected.start)
    for branch, writer in writers(infected).items():
        drops[branch] = before - min(asr(scaled(infected, writer, gamma)) for gamma in (0.0, 0.5))
    worst = max(drops, key=lambda branch: drops[branch])
    assert drops[worst] > max(0.1, drops[next(iter(drops))])  # neither none nor the first
    assert found.facts["branch"] == worst
    assert found.facts["asr_drops"] == pytest.approx(drops)
    cut = scaled(infected, writers(infected)[worst], 0.0)
    infected.model.load_state_dict(cut)
    clean = infected.clean
    batches = shuffled(clean.images, clean.labels, None, batch_size=8, seed=0, purpose="shortcut-suppression order")

    def loss() -> Tensor:
        batch = next(batches)
        assert batch.labels is not None
        return cross_entropy(log_chances(infected, batch.images), batch.labels)

    tuned = trained(infected, [loss] * steps, image_names(infected), SGD(), 0.01)
    expected = {name: (cut[name] - infected.start[name]).double().numpy() + tuned[name] for name in tuned}
    assert distance(found.edit.vector, expected) < NEAR
