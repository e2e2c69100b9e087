from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from tbar_ray.training.batch import Batch
from tbar_ray.training.shuffled import shuffled
from tbar_ray.unlearning.methods.robust_gradient_ascent import RobustGradientAscent
from tests.models.tiny import VIT
from tests.unlearning.formulas import CLOSE, chances_of, infected_of, nudge, value
from tests.unlearning.reference import NEAR, AdamW, Change, cross_entropy, distance, image_names, log_chances, trained


@pytest.mark.parametrize("largest", [0.2, 1.0])
def test_the_edit_climbs_with_a_guard_that_follows_the_largest_class(largest: float) -> None:
    plain = infected_of(VIT)
    negatives = dataclasses.replace(plain.forget, images=255 - plain.forget.images)  # stamped images far from twins
    infected = dataclasses.replace(plain, data=dataclasses.replace(plain.data, forget=negatives))
    first = 100.0
    method = RobustGradientAscent(
        steps=3, batch_size=8, learning_rate=1e-4, stop_at=0.0, guard=first, largest_share=largest
    )
    found = method.find(infected).edit.vector
    forget = infected.forget

    def climbed(factor: float) -> tuple[Change, list[float]]:
        """Return the edit, and the guards, where a guard grows or shrinks by a factor."""
        infected.restore()
        guards = [first]
        order = shuffled(
            torch.arange(len(forget.images)), None, None, batch_size=8, seed=0, purpose="robust ascent order"
        )

        def loss() -> Tensor:
            rows = next(order).images
            chances = log_chances(infected, forget.images[rows])
            p = log_chances(infected, forget.twins[rows]).detach().exp().mean(0)
            q = chances.exp().mean(0)
            value = -cross_entropy(chances, forget.labels[rows]) + guards[-1] * (p * (p / q).log()).sum()
            share = np.bincount(chances.detach().numpy().argmax(1)).max() / len(rows)
            guards.append(guards[-1] * factor if share > largest else guards[-1] / factor)
            return value

        return trained(infected, [loss] * 3, image_names(infected), AdamW(0.1), 1e-4), guards

    expected, guards = climbed(2.0)
    assert distance(found, expected) < NEAR
    assert distance(found, climbed(1.0)[0]) > 4 * NEAR
    assert guards == [first * 2.0**power for power in ((0, 1, 2, 3) if largest == 0.2 else (0, -1, -2, -3))]


def test_robust_ascent_guards_the_mean_prediction_and_doubles_the_guard_where_one_class_takes_most() -> None:
    infected = infected_of(VIT)
    method = RobustGradientAscent(guard=3.0, largest_share=0.99)
    objective = method.objective_on(infected)
    twins, stamped, labels = infected.forget.twins[:6], infected.forget.images[:6], infected.forget.labels[:6]
    nudge(infected, 0.05)
    p, q = (np.exp(chances_of(infected, images)).mean(0) for images in (twins, stamped))
    ascent = chances_of(infected, stamped)[np.arange(6), labels].mean()
    batch = Batch(torch.cat((twins, stamped)), None, labels)
    expected = ascent + 3.0 * float((p * np.log(p / q)).sum())
    assert value(objective, batch) == pytest.approx(expected, **CLOSE)
    largest = np.bincount(chances_of(infected, stamped).argmax(1)).max() / 6
    assert objective.weight == (6.0 if largest > 0.99 else 1.5)  # type: ignore[attr-defined]
    for _ in range(6):
        objective.loss(batch)
    assert objective.weight in (24.0, 3.0 / 8)  # type: ignore[attr-defined]
