from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tbar_ray.seeding import numpy_rng, torch_generator
from tbar_ray.training.shuffled import shuffled
from tbar_ray.unlearning.eda import augmented_text
from tbar_ray.unlearning.methods.cleanclip import CleanCLIP
from tbar_ray.unlearning.mixing import varied
from tests.models.tiny import BOTH, VIT
from tests.unlearning.formulas import (
    CLOSE,
    first,
    image_rows,
    infected_of,
    info_nce_of_rows,
    matching_of_rows,
    scale_of,
    text_rows,
    value,
)
from tests.unlearning.reference import NEAR, AdamW, all_names, distance, info_nce, matching, read, seen, trained


def test_the_edit_is_what_adamw_learns_from_pairs_and_their_augmented_copies() -> None:
    infected = infected_of(VIT)
    found = CleanCLIP(steps=2, batch_size=8, learning_rate=1e-3, warmup_steps=0, self_weight=2.0).find(infected)
    infected.restore()
    clean = infected.clean
    order = shuffled(torch.arange(len(clean)), None, None, batch_size=8, seed=0, purpose="cleanclip order")
    steps = iter(range(2))

    def loss() -> Tensor:
        step, rows = next(steps), next(order).images
        other = varied(clean.images[rows], torch_generator(0, "cleanclip images", step), 0.5)
        rng = numpy_rng(0, "cleanclip texts", step)
        words = infected.data.tokenizer([augmented_text(clean.captions[row], rng) for row in rows.tolist()])
        images, others = seen(infected, clean.images[rows]), seen(infected, other)
        texts, changed = read(infected, clean.tokens[rows]), read(infected, words)
        scale = infected.model.logit_scale.exp()
        own = matching(images, others, scale) + matching(texts, changed, scale)
        return info_nce(images, texts, scale) + 2.0 * own

    assert distance(found.edit.vector, trained(infected, [loss] * 2, all_names(infected), AdamW(0.1), 1e-3)) < NEAR


@pytest.mark.parametrize("architecture", BOTH)
def test_cleanclip_adds_a_self_supervised_loss_in_each_modality(architecture: str) -> None:
    infected = infected_of(architecture)
    method = CleanCLIP(batch_size=6, self_weight=0.3)
    batch = first(method.batches_from(infected))
    assert batch.tokens is not None
    images, texts = image_rows(infected, batch.images), text_rows(infected, batch.tokens)
    scale = scale_of(infected)
    own = matching_of_rows(images[:6], images[6:], scale) + matching_of_rows(texts[:6], texts[6:], scale)
    expected = info_nce_of_rows(images[:6], texts[:6], scale) + 0.3 * own
    assert value(method.objective_on(infected), batch) == pytest.approx(expected, **CLOSE)
    assert not torch.equal(batch.images[:6], batch.images[6:])
