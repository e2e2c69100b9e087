"""The loss of every method against the formula in numpy, from embeddings that the model gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tbar_ray.evaluation.zeroshot import normalise
from tbar_ray.training.batch import Batch
from tbar_ray.unlearning.methods.abl import ABL, agreement
from tbar_ray.unlearning.methods.clean_finetuning import CleanFineTuning
from tbar_ray.unlearning.methods.cleanclip import CleanCLIP
from tbar_ray.unlearning.methods.gradient_ascent import GradientAscent
from tbar_ray.unlearning.methods.i_bau import IBAU
from tbar_ray.unlearning.methods.par import PAR
from tbar_ray.unlearning.methods.robust_gradient_ascent import RobustGradientAscent
from tbar_ray.unlearning.methods.roclip import RoCLIP
from tbar_ray.unlearning.methods.rvpt import class_tokens, mean_cosine
from tbar_ray.unlearning.methods.tbar_anchored import AnchoredTBAR
from tbar_ray.unlearning.methods.ulrl import _Classifier, _Rows, likeness
from tests.models.tiny import BOTH, VIT
from tests.unlearning.formulas import (
    CLOSE,
    chances_of,
    first,
    image_rows,
    infected_of,
    info_nce,
    log_softmax,
    nudge,
    scale_of,
    text_rows,
    value,
)


@pytest.mark.parametrize("architecture", BOTH)
def test_cleanclip_adds_a_self_supervised_loss_in_each_modality(architecture: str) -> None:
    infected = infected_of(architecture)
    method = CleanCLIP(batch_size=6, self_weight=0.3)
    batch = first(method.batches_from(infected))
    assert batch.tokens is not None
    images, texts = image_rows(infected, batch.images), text_rows(infected, batch.tokens)
    scale = scale_of(infected)
    own = info_nce(images[:6], images[6:], scale) + info_nce(texts[:6], texts[6:], scale)
    expected = info_nce(images[:6], texts[:6], scale) + 0.3 * own
    assert value(method.objective_on(infected), batch) == pytest.approx(expected, **CLOSE)
    assert not torch.equal(batch.images[:6], batch.images[6:])


def test_roclip_matches_every_second_step_with_the_nearest_captions_of_its_bank() -> None:
    infected = infected_of(VIT)
    method = RoCLIP(batch_size=5, bank=0.2, every=2)
    batch, objective, scale = first(method.batches_from(infected)), method.objective_on(infected), scale_of(infected)
    assert batch.tokens is not None
    images, texts = image_rows(infected, batch.images), text_rows(infected, batch.tokens)
    assert value(objective, batch) == pytest.approx(info_nce(images, texts, scale), **CLOSE)
    bank = text_rows(infected, objective._bank)  # type: ignore[attr-defined]
    assert len(bank) == round(0.2 * len(infected.clean))
    matched = bank[(texts @ bank.T).argmax(1)]
    assert value(objective, batch) == pytest.approx(info_nce(images, matched, scale), **CLOSE)
    assert value(objective, batch) == pytest.approx(info_nce(images, texts, scale), **CLOSE)


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
    expected = info_nce(*new, scale_of(infected)) - 0.7 * sum(d for d in distances if d <= threshold)
    assert value(objective, batch) == pytest.approx(expected, **CLOSE)


def test_abl_pulls_isolated_pairs_apart() -> None:
    infected = infected_of(VIT)
    method = ABL(batch_size=8, ascent=0.5)
    objective = method.objective_on(infected)
    pairs = infected.training
    marks = torch.arange(8) >= 5
    batch = Batch(pairs.images[:8], pairs.tokens[:8], None, marks)
    images, texts = image_rows(infected, pairs.images[:8]), text_rows(infected, pairs.tokens[:8])
    apart = (images[5:] * texts[5:]).sum(1).mean()
    expected = info_nce(images[:5], texts[:5], scale_of(infected)) + 0.5 * apart
    assert value(objective, batch) == pytest.approx(expected, **CLOSE)
    cosines, cost = agreement(infected, pairs)
    every = (image_rows(infected, pairs.images) * text_rows(infected, pairs.tokens)).sum(1)
    assert cosines.numpy() == pytest.approx(every, abs=1e-5)
    assert cost.samples == len(pairs)


def test_gradient_ascent_is_negated_cross_entropy_and_notes_the_targets_probability() -> None:
    infected = infected_of(VIT)
    objective = GradientAscent().objective_on(infected)
    images, labels = infected.forget.images[:6], infected.forget.labels[:6]
    picked = chances_of(infected, images)[np.arange(6), labels]
    assert value(objective, Batch(images, None, labels)) == pytest.approx(picked.mean(), **CLOSE)
    assert objective.probability == pytest.approx(np.exp(picked).mean(), rel=1e-3)


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


def test_adversarial_unlearning_adds_the_perturbation_to_levels() -> None:
    infected = infected_of(VIT)
    images, labels = infected.clean.images[:6], infected.clean.labels[:6]
    side = infected.preprocessing.size
    delta = 0.1 * torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    levels = images.float() / 255 + delta
    preprocess = infected.preprocessing
    mean, std = (torch.tensor(part).view(1, 3, 1, 1) for part in (preprocess.mean, preprocess.std))
    with torch.no_grad():
        features = infected.model.encode_image((levels - mean) / std, normalize=True).double().numpy()
    chances = log_softmax(scale_of(infected) * features @ infected.classes.head.double().numpy().T)
    found = IBAU()._loss(infected, images, labels, delta)
    assert float(found.detach()) == pytest.approx(-chances[np.arange(6), labels].mean(), **CLOSE)


def test_repulsion_is_the_mean_cosine_of_class_tokens() -> None:
    infected = infected_of(VIT)
    pixels = normalise(infected.clean.images[:4], infected.preprocessing)
    blocks = list(infected.model.visual.transformer.resblocks)[-2:]
    with torch.no_grad(), class_tokens(blocks) as old:
        infected.model.encode_image(pixels)
    nudge(infected, 0.05)
    with torch.no_grad(), class_tokens(blocks) as new:
        infected.model.encode_image(pixels)
    assert [tuple(rows.shape) for rows in old] == [(4, old[0].shape[1])] * 2
    cosines = [
        (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
        for a, b in ((x.double().numpy(), y.double().numpy()) for x, y in zip(new, old, strict=True))
    ]
    assert float(mean_cosine(new, old)) == pytest.approx(np.mean(cosines), **CLOSE)


def test_ulrl_relearns_away_from_the_infected_rows() -> None:
    infected = infected_of(VIT)
    weight = dict(infected.model.named_parameters())["visual.proj"]
    before = weight.detach().clone()
    images, labels = infected.clean.images[:6], infected.clean.labels[:6]
    plain = _Classifier(infected, None, 1.0, None)
    expected = -chances_of(infected, images)[np.arange(6), labels].mean()
    assert value(plain, Batch(images, None, labels)) == pytest.approx(expected, **CLOSE)
    assert value(_Classifier(infected, None, -1.0, None), Batch(images, None, labels)) == pytest.approx(
        -expected, **CLOSE
    )
    nudge(infected, 0.05)
    rows = _Rows(infected, None, "projection")
    beside = _Classifier(infected, None, 1.0, lambda: 0.7 * likeness(rows.read()[:2], before.T[:2]))
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


def test_clean_finetuning_offers_both_objectives() -> None:
    infected = infected_of(VIT)
    method = CleanFineTuning(batch_size=6)
    batch = first(method.batches_from(infected))
    assert batch.tokens is not None
    images, texts = image_rows(infected, batch.images), text_rows(infected, batch.tokens)
    expected = info_nce(images, texts, scale_of(infected))
    assert value(method.objective_on(infected), batch) == pytest.approx(expected, **CLOSE)
    by_class = CleanFineTuning(batch_size=6, objective="classification").objective_on(infected)
    assert batch.labels is not None
    picked = chances_of(infected, batch.images)[np.arange(6), batch.labels]
    assert value(by_class, batch) == pytest.approx(-picked.mean(), **CLOSE)
