from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tbar_ray.training.shuffled import shuffled
from tbar_ray.unlearning.methods.par import PAR
from tests.models.tiny import VIT
from tests.unlearning.formulas import (
    CLOSE,
    first,
    image_rows,
    infected_of,
    info_nce_of_rows,
    nudge,
    scale_of,
    text_rows,
    value,
)
from tests.unlearning.reference import NEAR, AdamW, all_names, distance, info_nce, read, seen, trained


@pytest.mark.parametrize("threshold", [2.15, 1e-3])
def test_the_edit_drives_embeddings_away_while_pairs_stay_together(threshold: float) -> None:
    infected = infected_of(VIT)
    method = PAR(steps=3, batch_size=8, learning_rate=1e-3, threshold=threshold, perturbation=5.0)
    found = method.find(infected)
    infected.restore()
    clean = infected.clean
    order = shuffled(torch.arange(len(clean)), None, None, batch_size=8, seed=0, purpose="par order")
    with torch.no_grad():
        old_images, old_texts = seen(infected, clean.images), read(infected, clean.tokens)

    def loss() -> Tensor:
        rows = next(order).images
        images, texts = seen(infected, clean.images[rows]), read(infected, clean.tokens[rows])
        value = info_nce(images, texts, infected.model.logit_scale.detach().exp())
        for now, old in ((images, old_images[rows]), (texts, old_texts[rows])):
            apart = ((now - old) ** 2).sum(1).mean()
            value = value - 5.0 * (apart if float(apart.detach()) <= threshold else 0.0)
        return value

    names = [name for name in all_names(infected) if name != "logit_scale"]
    assert distance(found.edit.vector, trained(infected, [loss] * 3, names, AdamW(1e-4), 1e-3)) < NEAR
    assert not found.edit.vector.tensors["logit_scale"].any()


@pytest.mark.parametrize("threshold", [2.15, 1e-9])
def test_par_drives_embeddings_away_up_to_a_distance(threshold: float) -> None:
    infected = infected_of(VIT)
    method = PAR(batch_size=5, threshold=threshold, perturbation=0.7)
    batch, objective = first(method.batches_from(infected)), method.objective_on(infected)
    assert batch.tokens is not None
    old = image_rows(infected, batch.images), text_rows(infected, batch.tokens)
    nudge(infected)
    new = image_rows(infected, batch.images), text_rows(infected, batch.tokens)
    distances = [((a - b) ** 2).sum(1).mean() for a, b in zip(old, new, strict=True)]
    assert all(d > 1e-6 for d in distances)
    expected = info_nce_of_rows(*new, scale_of(infected)) - 0.7 * sum(d for d in distances if d <= threshold)
    assert value(objective, batch) == pytest.approx(expected, **CLOSE)
