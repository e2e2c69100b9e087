from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tbar_ray.seeding import numpy_rng
from tbar_ray.training.batch import Batch
from tbar_ray.training.shuffled import shuffled
from tbar_ray.unlearning.methods import ubt
from tbar_ray.unlearning.methods.ubt import UBT
from tests.models.tiny import VIT
from tests.unlearning.formulas import image_rows, infected_of, text_rows
from tests.unlearning.reference import NEAR, AdamW, all_names, distance, info_nce, read, seen, trained


def test_the_edit_unlearns_the_words_of_pairs_that_fit_the_infected_model_alone() -> None:
    infected = infected_of(VIT)
    method = UBT(
        steps=2,
        batch_size=16,
        learning_rate=1e-3,
        weakening_steps=3,
        suspicious=0.2,
        selected=0.3,
        words=0.5,
        ascent=2.0,
    )
    found = method.find(infected)
    infected.restore()
    pairs, clean, rule = infected.training, infected.clean, AdamW

    def agreement() -> np.ndarray:
        return (image_rows(infected, pairs.images) * text_rows(infected, pairs.tokens)).sum(1)

    def learned(batch: Batch) -> Tensor:
        assert batch.tokens is not None
        return info_nce(seen(infected, batch.images), read(infected, batch.tokens), infected.model.logit_scale.exp())

    strong = agreement()
    weakening = shuffled(clean.images, None, clean.tokens, batch_size=16, seed=0, purpose="ubt clean")
    trained(infected, [lambda: learned(next(weakening))] * 3, all_names(infected), rule(0.1), 1e-3)
    weak = agreement()
    infected.restore()
    doubtful = weak.argsort()[: round(0.2 * len(pairs))]
    chosen = doubtful[strong[doubtful].argsort()[::-1][: round(0.3 * len(doubtful))]]
    others = shuffled(clean.images, None, clean.tokens, batch_size=12, seed=0, purpose="ubt clean")
    selected = shuffled(torch.from_numpy(chosen.copy()), None, None, batch_size=4, seed=0, purpose="ubt selected")
    steps = iter(range(2))

    def loss() -> Tensor:
        rows, rng = next(selected).images, numpy_rng(0, "ubt words", next(steps))
        texts = []
        for row in rows.tolist():
            words = pairs.captions[row].split()
            places = sorted(rng.choice(len(words), round(0.5 * len(words)), replace=False))
            texts.append(" ".join(words[place] for place in places))
        apart = (seen(infected, pairs.images[rows]) * read(infected, infected.data.tokenizer(texts))).sum(1).mean()
        return learned(next(others)) + 2.0 * apart

    assert distance(found.edit.vector, trained(infected, [loss] * 2, all_names(infected), rule(0.1), 1e-3)) < NEAR
    assert found.facts["selected_pairs"] == len(chosen)


def test_pairs_that_fit_only_the_infected_model_are_selected() -> None:
    strong, weak = [0.9, 0.8, 0.7, 0.6, 0.5], [0.9, 0.1, 0.2, 0.0, 0.8]
    assert ubt.select(strong, weak, 0.6, 0.67) == [1, 2]
    assert ubt.select(strong, weak, 0.6, 1.0) == [1, 2, 3]
