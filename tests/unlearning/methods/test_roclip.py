from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from tbar_ray.seeding import torch_generator
from tbar_ray.training.shuffled import shuffled
from tbar_ray.unlearning.methods.roclip import RoCLIP
from tbar_ray.unlearning.mixing import varied
from tests.models.tiny import VIT
from tests.unlearning.formulas import (
    CLOSE,
    first,
    image_rows,
    infected_of,
    info_nce_of_rows,
    scale_of,
    text_rows,
    value,
)
from tests.unlearning.reference import NEAR, AdamW, all_names, distance, info_nce, read, seen, trained


def test_the_edit_is_what_adamw_learns_with_matched_captions_in_every_second_step() -> None:
    infected = infected_of(VIT)
    found = RoCLIP(steps=3, batch_size=8, learning_rate=1e-3, bank=0.1, every=2).find(infected)
    infected.restore()
    clean = infected.clean
    batches = shuffled(clean.images, None, clean.tokens, batch_size=8, seed=0, purpose="roclip order")
    order = torch.randperm(len(clean), generator=torch_generator(0, "roclip bank"))
    bank, steps = clean.tokens[order[: round(0.1 * len(clean))]], iter(range(3))

    def loss() -> Tensor:
        step, batch = next(steps), next(batches)
        assert batch.tokens is not None
        images = seen(infected, varied(batch.images, torch_generator(0, "roclip images", step), 0.5))
        texts = read(infected, batch.tokens)
        if step == 1:
            known = read(infected, bank).detach()
            texts = known[torch.from_numpy((images.detach().numpy() @ known.numpy().T).argmax(1))]
        return info_nce(images, texts, infected.model.logit_scale.exp())

    assert distance(found.edit.vector, trained(infected, [loss] * 3, all_names(infected), AdamW(0.1), 1e-3)) < NEAR


def test_roclip_matches_every_second_step_with_the_captions_of_its_bank_nearest_to_the_images() -> None:
    infected = infected_of(VIT)
    method = RoCLIP(batch_size=5, bank=0.2, every=2)
    batch, objective, scale = first(method.batches_from(infected)), method.objective_on(infected), scale_of(infected)
    assert batch.tokens is not None
    images, texts = image_rows(infected, batch.images), text_rows(infected, batch.tokens)
    assert value(objective, batch) == pytest.approx(info_nce_of_rows(images, texts, scale), **CLOSE)
    bank = text_rows(infected, objective._bank)  # type: ignore[attr-defined]
    assert len(bank) == round(0.2 * len(infected.clean))
    matched = bank[(images @ bank.T).argmax(1)]
    assert not np.array_equal(matched, bank[(texts @ bank.T).argmax(1)])
    assert value(objective, batch) == pytest.approx(info_nce_of_rows(images, matched, scale), **CLOSE)
    assert value(objective, batch) == pytest.approx(info_nce_of_rows(images, texts, scale), **CLOSE)
