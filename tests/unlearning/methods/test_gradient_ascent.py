from __future__ import annotations

import numpy as np
import pytest
from torch import Tensor

from tbar_ray.training.batch import Batch
from tbar_ray.training.shuffled import shuffled
from tbar_ray.unlearning.methods.gradient_ascent import GradientAscent
from tests.models.tiny import VIT
from tests.unlearning.formulas import CLOSE, chances_of, infected_of, value
from tests.unlearning.planted import TARGET
from tests.unlearning.reference import NEAR, AdamW, cross_entropy, distance, image_names, log_chances, trained


def test_the_edit_climbs_the_targets_cross_entropy_on_triggered_images() -> None:
    infected = infected_of(VIT)
    found = GradientAscent(steps=3, batch_size=8, learning_rate=1e-4, stop_at=0.0).find(infected)
    infected.restore()
    forget, probabilities = infected.forget, []
    batches = shuffled(forget.images, forget.labels, None, batch_size=8, seed=0, purpose="gradient ascent order")

    def loss() -> Tensor:
        batch = next(batches)
        assert batch.labels is not None
        chances = log_chances(infected, batch.images)
        probabilities.append(float(chances.detach().exp()[:, TARGET].mean()))
        return -cross_entropy(chances, batch.labels)

    expected = trained(infected, [loss] * 3, image_names(infected), AdamW(0.1), 1e-4)
    assert distance(found.edit.vector, expected) < NEAR
    assert found.facts["target_probability"] == pytest.approx(probabilities[-1], rel=1e-3)


def test_ascent_ends_where_the_target_is_unlikely_enough() -> None:
    infected = infected_of(VIT)
    ended = GradientAscent(steps=9, batch_size=8, learning_rate=1e-4, stop_at=0.99).find(infected)
    assert ended.record.steps == 1


def test_gradient_ascent_is_negated_cross_entropy_and_notes_the_targets_probability() -> None:
    infected = infected_of(VIT)
    objective = GradientAscent().objective_on(infected)
    images, labels = infected.forget.images[:6], infected.forget.labels[:6]
    picked = chances_of(infected, images)[np.arange(6), labels]
    assert value(objective, Batch(images, None, labels)) == pytest.approx(picked.mean(), **CLOSE)
    assert objective.probability == pytest.approx(np.exp(picked).mean(), rel=1e-3)
