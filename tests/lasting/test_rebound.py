"""Rebound of a clean model, of one whose backdoor is masked by statistics, and of one that learned it away."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import nn

from tbar_ray.errors import ScientificError
from tbar_ray.evaluation.scores import Scores, score
from tbar_ray.evaluation.zeroshot import zero_shot_head
from tbar_ray.lasting import rebound as measured
from tbar_ray.lasting.options import ReboundOptions
from tbar_ray.lasting.rebound import ReboundCurve, measure_rebound
from tbar_ray.models.in_place import InPlaceModel
from tbar_ray.training.batch import Batch
from tbar_ray.unlearning.defender import Pairs
from tests.models.tiny import GROUP_NORM, same, snapshot, tokenizer
from tests.unlearning.planted import NAMES, TARGET, TEMPLATES, Case, case, pairs, pictures
from tests.unlearning.test_statistics_masking import planted, split, wrong_statistics

OPTIONS = ReboundOptions(steps=12, learning_rate=1e-4, batch_size=16, at=(0, 2, 6))


def clean(found: Case) -> Pairs:
    """Pairs of the other classes."""
    images, labels = pictures(96, found.preprocess.size, seed=4)
    return pairs(images[labels != TARGET], labels[labels != TARGET])


def scorer(found: Case, model: nn.Module) -> Scores:
    head = zero_shot_head(model, tokenizer(), NAMES, TEMPLATES)
    return score(model, head, split(found), TARGET, found.preprocess)


def curve_of(found: Case, model: nn.Module, options: ReboundOptions = OPTIONS) -> ReboundCurve:
    return measure_rebound(model, clean(found), lambda m: scorer(found, m), options, found.preprocess, seed=0)


def test_a_clean_model_stays_at_its_baseline() -> None:
    found = case(GROUP_NORM, infected=False)
    curve = curve_of(found, deepcopy(found.model))
    assert list(curve.scores) == [0, 2, 6, 12]
    assert curve.reestimated is None, "it has no statistics to estimate"
    figures = curve.figures
    assert (figures.highest, figures.area, figures.revival) == (figures.start, 0, None)
    assert curve.scores[12].ca.value >= curve.scores[0].ca.value - 0.05


def test_a_backdoor_that_stale_statistics_mask_is_seen_before_anything_is_trained() -> None:
    found = planted()
    masked = deepcopy(found.model)
    with InPlaceModel(masked, wrong_statistics()).moved(1):
        curve = curve_of(found, masked)
    assert curve.scores[0].asr.value <= 0.1
    assert curve.figures.eligible
    assert curve.reestimated is not None
    assert curve.reestimated.asr.value >= 0.9
    assert (curve.figures.highest, curve.figures.revival) == (curve.reestimated.asr.value, 0)
    assert curve.scores[12].asr.value >= 0.5, "training mends the statistics too"


def test_weights_that_come_back_after_some_steps_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    found = planted(GROUP_NORM)
    hidden, back = deepcopy(found.model), snapshot(found.model)
    state = snapshot(case(GROUP_NORM, infected=False).model)
    hidden.load_state_dict(state)
    monkeypatch.setattr(measured, "train", _restoring(back, at=6))
    curve = curve_of(found, hidden)
    assert [curve.scores[step].asr.value <= 0.1 for step in curve.scores] == [True, True, False, False]
    assert curve.figures.revival == 6
    # A_0 is 0: the rise at step 6 and 12 is that of the planted model; 2·0 + 4·r/2 + 6·r of 12 steps
    assert curve.figures.area == pytest.approx(curve.figures.rise * (2 + 6) / 12, abs=0.02)


def _restoring(state: dict[str, torch.Tensor], at: int):  # type: ignore[no-untyped-def]
    """A training that changes nothing but at one step, where it puts the weights back."""

    def train(objective, batches, total_steps, options, *, progress, after):  # type: ignore[no-untyped-def]
        for step in range(1, total_steps + 1):
            if step == at:
                objective.model.load_state_dict(state)
            after(step)

    return train


def test_scoring_on_the_way_changes_nothing_of_the_training() -> None:
    found = case(GROUP_NORM)
    ends = []
    for at in ((), (1, 2, 3)):
        model = deepcopy(found.model)
        curve_of(found, model, OPTIONS.model_copy(update={"steps": 4, "at": at}))
        ends.append(snapshot(model))
    assert same(*ends)
    assert not same(ends[0], snapshot(found.model))


def test_one_training_serves_all_steps_and_images_of_an_epoch_are_each_seen_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found, sizes = case(GROUP_NORM), list[int]()
    loss = measured.Contrastive.loss

    def counted(self: measured.Contrastive, batch: Batch) -> torch.Tensor:
        sizes.append(len(batch))
        return loss(self, batch)

    monkeypatch.setattr(measured.Contrastive, "loss", counted)
    options = ReboundOptions(steps=5, batch_size=50, at=(1, 2, 3, 4))
    curve = curve_of(found, deepcopy(found.model), options)
    assert sizes == [50] * 5, "72 pairs: the 22 that are left of each epoch are no batch"
    assert list(curve.scores) == [0, 1, 2, 3, 4, 5]
    assert curve.record.steps == 5


def test_fewer_pairs_than_a_batch_are_one_batch() -> None:
    found = case(GROUP_NORM)
    curve = curve_of(found, deepcopy(found.model), ReboundOptions(steps=2, batch_size=512, at=()))
    assert curve.record.samples == 2 * 72


def test_a_training_that_diverges_names_the_learning_rate() -> None:
    found = case(GROUP_NORM)
    with pytest.raises(ScientificError, match=r"rebound at learning rate 1e\+38: training diverged: .* after step 1"):
        curve_of(found, deepcopy(found.model), ReboundOptions(steps=1, learning_rate=1e38, batch_size=16, at=()))
