from __future__ import annotations

import numpy as np
import pytest
from torch import Tensor

from tbar_ray.training.shuffled import shuffled
from tbar_ray.unlearning.methods.clean_finetuning import CleanFineTuning
from tests.models.tiny import VIT
from tests.unlearning.formulas import (
    CLOSE,
    chances_of,
    first,
    image_rows,
    infected_of,
    info_nce_of_rows,
    scale_of,
    text_rows,
    value,
)
from tests.unlearning.reference import (
    NEAR,
    AdamW,
    all_names,
    cross_entropy,
    distance,
    image_names,
    info_nce,
    log_chances,
    read,
    seen,
    trained,
)


@pytest.mark.parametrize("objective", ["contrastive", "classification"])
def test_the_edit_is_what_adamw_learns_on_clean_pairs(objective: str) -> None:
    infected = infected_of(VIT)
    found = CleanFineTuning(steps=2, batch_size=8, learning_rate=1e-3, warmup_steps=0, objective=objective).find(
        infected
    )
    infected.restore()
    clean = infected.clean
    batches = shuffled(clean.images, clean.labels, clean.tokens, batch_size=8, seed=0, purpose="clean pairs order")

    def loss() -> Tensor:
        batch = next(batches)
        assert batch.labels is not None
        assert batch.tokens is not None
        if objective == "classification":
            return cross_entropy(log_chances(infected, batch.images), batch.labels)
        return info_nce(seen(infected, batch.images), read(infected, batch.tokens), infected.model.logit_scale.exp())

    names = image_names(infected) if objective == "classification" else all_names(infected)
    assert distance(found.edit.vector, trained(infected, [loss] * 2, names, AdamW(0.1), 1e-3)) < NEAR


def test_clean_finetuning_offers_both_objectives() -> None:
    infected = infected_of(VIT)
    method = CleanFineTuning(batch_size=6)
    batch = first(method.batches_from(infected))
    assert batch.tokens is not None
    images, texts = image_rows(infected, batch.images), text_rows(infected, batch.tokens)
    expected = info_nce_of_rows(images, texts, scale_of(infected))
    assert value(method.objective_on(infected), batch) == pytest.approx(expected, **CLOSE)
    by_class = CleanFineTuning(batch_size=6, objective="classification").objective_on(infected)
    assert batch.labels is not None
    picked = chances_of(infected, batch.images)[np.arange(6), batch.labels]
    assert value(by_class, batch) == pytest.approx(-picked.mean(), **CLOSE)
