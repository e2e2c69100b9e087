from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from tbar_ray.training.batch import Batch
from tbar_ray.training.shuffled import shuffled
from tbar_ray.unlearning.methods.abl import ABL, agreement
from tests.models.tiny import VIT
from tests.unlearning.formulas import CLOSE, image_rows, infected_of, info_nce_of_rows, scale_of, text_rows, value
from tests.unlearning.reference import NEAR, AdamW, all_names, distance, info_nce, read, seen, trained


def test_the_edit_pulls_the_pairs_that_are_fitted_best_apart_and_learns_the_others() -> None:
    infected = infected_of(VIT)
    found = ABL(steps=2, batch_size=16, learning_rate=1e-3, isolated=0.05, ascent=2.0).find(infected)
    infected.restore()
    pairs = infected.training
    cosines = (image_rows(infected, pairs.images) * text_rows(infected, pairs.tokens)).sum(1)
    best = np.zeros(len(pairs), bool)
    best[cosines.argsort()[::-1][: round(0.05 * len(pairs))]] = True
    others, isolated = (
        shuffled(torch.from_numpy(np.flatnonzero(rows)), None, None, batch_size=size, seed=0, purpose=f"abl {name}")
        for rows, size, name in ((~best, 12, "others"), (best, 4, "isolated"))
    )

    def loss() -> Tensor:
        rows, chosen = next(others).images, next(isolated).images
        learned = info_nce(
            seen(infected, pairs.images[rows]), read(infected, pairs.tokens[rows]), infected.model.logit_scale.exp()
        )
        apart = (seen(infected, pairs.images[chosen]) * read(infected, pairs.tokens[chosen])).sum(1).mean()
        return learned + 2.0 * apart

    assert distance(found.edit.vector, trained(infected, [loss] * 2, all_names(infected), AdamW(0.1), 1e-3)) < NEAR
    assert found.facts["isolated"] == best.sum()
    assert found.facts["least_cosine_of_isolated"] == pytest.approx(cosines[best].min(), abs=1e-4)


def test_abl_pulls_isolated_pairs_apart() -> None:
    infected = infected_of(VIT)
    method = ABL(batch_size=8, ascent=0.5)
    objective = method.objective_on(infected)
    pairs = infected.training
    marks = torch.arange(8) >= 5
    batch = Batch(pairs.images[:8], pairs.tokens[:8], None, marks)
    images, texts = image_rows(infected, pairs.images[:8]), text_rows(infected, pairs.tokens[:8])
    apart = (images[5:] * texts[5:]).sum(1).mean()
    expected = info_nce_of_rows(images[:5], texts[:5], scale_of(infected)) + 0.5 * apart
    assert value(objective, batch) == pytest.approx(expected, **CLOSE)
    cosines, cost = agreement(infected, pairs)
    every = (image_rows(infected, pairs.images) * text_rows(infected, pairs.tokens)).sum(1)
    assert cosines.numpy() == pytest.approx(every, abs=1e-5)
    assert cost.samples == len(pairs)
