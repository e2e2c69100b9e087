from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import median_abs_deviation
from torch import Tensor

from tbar_ray.seeding import torch_generator
from tbar_ray.training.batch import Batch
from tbar_ray.training.shuffled import shuffled
from tbar_ray.unlearning.edit import EditedModel
from tbar_ray.unlearning.methods import ulrl
from tbar_ray.unlearning.methods.ulrl import ULRL, _Classifier, _Rows, likeness
from tests.models.tiny import VIT
from tests.unlearning.formulas import CLOSE, chances_of, infected_of, nudge, value
from tests.unlearning.reference import (
    NEAR,
    SGD,
    constant_rate,
    cosine_rate,
    cross_entropy,
    distance,
    image_names,
    log_chances,
    pixels,
    trained,
)


def test_the_edit_unlearns_resets_the_suspicious_rows_and_relearns() -> None:
    infected = infected_of(VIT)
    method = ULRL(
        samples=24, unlearning_steps=2, stop_at=0.0, threshold=0.01, most=1, steps=2, batch_size=8, learning_rate=0.05,
        relearning_rate=0.02, deviation=3.0,
    )  # fmt: skip
    found = method.find(infected)
    infected.restore()
    clean, names, before = infected.clean, image_names(infected), infected.classes.head
    rows = torch.randperm(len(clean), generator=torch_generator(0, "ulrl samples"))[:24].sort().values
    images, labels = clean.images[rows], clean.labels[rows]

    def phase(sign: int, head: Tensor, beside: Callable[[], Tensor]) -> Callable[[], Tensor]:
        batches = shuffled(images, labels, None, batch_size=8, seed=0, purpose=f"ulrl phase {sign:+d}")

        def loss() -> Tensor:
            batch = next(batches)
            assert batch.labels is not None
            unit = head / head.norm(dim=1, keepdim=True)
            return sign * cross_entropy(log_chances(infected, batch.images, unit), batch.labels) + beside()

        return loss

    head = before.clone().requires_grad_(True)
    away = phase(-1, head, lambda: torch.zeros(()))
    moved = trained(infected, [away] * 2, names, SGD(), 0.05, constant_rate, {"head": head})
    scores = np.abs(moved["head"]).sum(1)
    worst = int(scores.argmax())
    deviations = np.abs(scores - np.median(scores))
    assert (scores[worst] - np.median(scores)) / (1.4826 * np.median(deviations)) > 0.01

    infected.restore()
    draw = torch_generator(0, "ulrl re-initialisation")
    fresh = (2 * torch.rand(1, before.shape[1], generator=draw) - 1) * np.sqrt(2 / before.shape[1])
    head = before.clone()
    head[worst] = fresh[0]
    head.requires_grad_(True)

    def likeness() -> Tensor:
        return 3.0 * (head[worst] @ before[worst]) / (head[worst].norm() * before[worst].norm())

    reset = head.detach().double().numpy().copy()
    again = trained(infected, [phase(1, head, likeness)] * 2, names, SGD(0.0), 0.02, cosine_rate, {"head": head})
    assert found.facts["suspicious"] == [worst]
    assert found.edit.head is not None
    own = reset + again.pop("head")
    own /= np.linalg.norm(own, axis=1, keepdims=True)
    assert distance({"head": found.edit.head - before}, {"head": own - before.double().numpy()}) < NEAR
    assert distance(found.edit.vector, again) < NEAR


def test_it_is_scored_with_the_head_that_it_trained() -> None:
    infected = infected_of(VIT)
    method = ULRL(
        samples=24, unlearning_steps=2, stop_at=0.0, threshold=0.01, most=2, steps=1, batch_size=24,
        relearning_rate=1e-9, deviation=0.0,
    )  # fmt: skip
    found = method.find(infected)
    assert found.edit.head is not None
    clean = infected.clean
    rows = torch.randperm(len(clean), generator=torch_generator(0, "ulrl samples"))[:24]
    trained_on = float(found.record.losses[-1][1])
    with torch.no_grad(), EditedModel(infected.model, found.edit, infected.classes.head).at(1.0) as (model, head):
        assert head is not None
        features = model.encode_image(pixels(infected, clean.images[rows]), normalize=True)  # type: ignore[operator]
        logits = model.logit_scale.exp() * features @ head.T  # type: ignore[operator]
        assert float(torch.nn.functional.cross_entropy(logits, clean.labels[rows])) == pytest.approx(
            trained_on, **CLOSE
        )


def test_unlearning_ends_after_an_epoch_of_low_accuracy() -> None:
    infected = infected_of(VIT)
    found = ULRL(samples=24, unlearning_steps=9, stop_at=0.999, threshold=1e9, batch_size=8).find(infected)
    assert found.record.steps == 3
    assert found.facts["suspicious"] == []
    assert found.edit.head is None


def test_ulrl_relearns_away_from_the_infected_rows() -> None:
    infected = infected_of(VIT)
    weight = dict(infected.model.named_parameters())["visual.proj"]
    before = weight.detach().clone()
    images, labels = infected.clean.images[:6], infected.clean.labels[:6]
    plain = _Classifier(infected, None, 1.0, None, 6)
    expected = -chances_of(infected, images)[np.arange(6), labels].mean()
    assert value(plain, Batch(images, None, labels)) == pytest.approx(expected, **CLOSE)
    assert value(_Classifier(infected, None, -1.0, None, 6), Batch(images, None, labels)) == pytest.approx(
        -expected, **CLOSE
    )
    nudge(infected, 0.05)
    rows = _Rows(infected, None, "projection")
    beside = _Classifier(infected, None, 1.0, lambda: 0.7 * likeness(rows.read()[:2], before.T[:2]), 6)
    new, old = weight.detach().double().numpy().T[:2], before.double().numpy().T[:2]
    lengths = np.linalg.norm(new, axis=1), np.linalg.norm(old, axis=1)
    cosines = (new * old).sum(1) / (lengths[0] * lengths[1])
    learned = -chances_of(infected, images)[np.arange(6), labels].mean()
    assert value(beside, Batch(images, None, labels)) == pytest.approx(learned + 0.7 * cosines.sum(), **CLOSE)
    infected.model.requires_grad_(True)
    (gradient,) = torch.autograd.grad(likeness(rows.read()[:2], before.T[:2]), weight)
    # d cos(w, v)/dw = v/(|w||v|) − cos·w/|w|²
    slope = old / (lengths[0] * lengths[1])[:, None] - (cosines / lengths[0] ** 2)[:, None] * new
    assert gradient.double().numpy().T[:2] == pytest.approx(slope, rel=1e-2, abs=1e-5)
    assert not gradient[:, 2:].any()


@given(st.lists(st.floats(-100, 100), min_size=3, max_size=30))
def test_z_scores_are_those_of_the_median_and_its_deviation(values: list[float]) -> None:
    scores = torch.tensor(values, dtype=torch.float64)
    spread = median_abs_deviation(values, scale="normal")
    if spread < 1e-6:
        return
    expected = (np.array(values) - np.median(values)) / spread
    assert ulrl.robust_z(scores).numpy() == pytest.approx(expected, rel=1e-3, abs=1e-6)


def test_suspicious_neurons_are_above_the_threshold_and_the_greatest_come_first() -> None:
    scores = torch.tensor([3.6, 9.0, -9.0, 3.5, 4.0])
    assert ulrl.chosen(scores, 3.5, 2) == [1, 4]
    assert ulrl.chosen(scores, 3.5, 9) == [1, 4, 0]
    assert ulrl.chosen(scores, 10, 9) == []
