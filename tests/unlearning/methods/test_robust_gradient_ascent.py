import numpy as np
import pytest
import torch
from torch import Tensor

from tbar_ray.training.shuffled import shuffled
from tbar_ray.unlearning.methods.robust_gradient_ascent import RobustGradientAscent
from tests.models.tiny import VIT
from tests.unlearning.formulas import infected_of
from tests.unlearning.reference import NEAR, AdamW, cross_entropy, distance, image_names, log_chances, trained


@pytest.mark.parametrize("largest", [0.2, 1.0])
def test_the_edit_climbs_with_a_guard_that_follows_the_largest_class(largest: float) -> None:
    infected = infected_of(VIT)
    method = RobustGradientAscent(
        steps=3, batch_size=8, learning_rate=1e-4, stop_at=0.0, guard=2.0, largest_share=largest
    )
    found = method.find(infected).edit.vector
    infected.restore()
    forget, guards = infected.forget, [2.0]
    order = shuffled(torch.arange(len(forget.images)), None, None, batch_size=8, seed=0, purpose="robust ascent order")

    def loss() -> Tensor:
        rows = next(order).images
        chances = log_chances(infected, forget.images[rows])
        p = log_chances(infected, forget.twins[rows]).detach().exp().mean(0)
        q = chances.exp().mean(0)
        value = -cross_entropy(chances, forget.labels[rows]) + guards[-1] * (p * (p / q).log()).sum()
        share = np.bincount(chances.detach().numpy().argmax(1)).max() / len(rows)
        guards.append(min(16.0, guards[-1] * 2) if share > largest else max(0.25, guards[-1] / 2))
        return value

    assert distance(found, trained(infected, [loss] * 3, image_names(infected), AdamW(0.1), 1e-4)) < NEAR
    assert guards == ([2.0, 4.0, 8.0, 16.0] if largest == 0.2 else [2.0, 1.0, 0.5, 0.25])
