from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from tbar_ray.training.batch import Batch
from tbar_ray.training.shuffled import shuffled
from tbar_ray.unlearning.methods.tbar_anchored import AnchoredTBAR
from tests.models.tiny import VIT
from tests.unlearning.formulas import CLOSE, chances_of, infected_of, nudge, value
from tests.unlearning.reference import NEAR, AdamW, cross_entropy, distance, image_names, log_chances, trained


def test_the_vector_is_learned_while_answers_on_twins_are_held() -> None:
    infected = infected_of(VIT)
    found = AnchoredTBAR(steps=3, batch_size=8, learning_rate=1e-3, hold=5.0).find(infected).edit.vector
    infected.restore()
    forget = infected.forget
    with torch.no_grad():
        answers = log_chances(infected, forget.twins)
    order = shuffled(torch.arange(len(forget.images)), None, None, batch_size=8, seed=0, purpose="forget order")

    def loss() -> Tensor:
        rows = next(order).images
        wanted = answers[rows]
        held = (wanted.exp() * (wanted - log_chances(infected, forget.twins[rows]))).sum(1).mean()
        return cross_entropy(log_chances(infected, forget.images[rows]), forget.labels[rows]) + 5.0 * held

    assert distance(found, trained(infected, [loss] * 3, image_names(infected), AdamW(0.1), 1e-3)) < NEAR


def test_the_anchor_holds_answers_on_twins() -> None:
    infected = infected_of(VIT)
    method = AnchoredTBAR(hold=2.5)
    objective = method.objective_on(infected)
    twins, stamped, labels = infected.forget.twins[:6], infected.forget.images[:6], infected.forget.labels[:6]
    old = chances_of(infected, twins)
    nudge(infected, 0.05)
    held = (np.exp(old) * (old - chances_of(infected, twins))).sum(1).mean()
    learned = -chances_of(infected, stamped)[np.arange(6), labels].mean()
    batch = Batch(torch.cat((stamped, twins)), None, labels)
    assert value(objective, batch) == pytest.approx(learned + 2.5 * held, **CLOSE)
    assert held > 1e-5
