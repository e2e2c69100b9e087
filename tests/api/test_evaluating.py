"""CA, ASR and PA of a model, as numbers and as text."""

from __future__ import annotations

import pytest
import torch

import tbar_ray as tbar
from tbar_ray.errors import DataError
from tbar_ray.evaluation.rates import Rate
from tests.api.world import BACKDOOR, infected, labelled, unseen
from tests.models.tiny import WIDE
from tests.unlearning.planted import TARGET, case, scores


def test_rates_are_those_of_an_independent_count() -> None:
    model, planted = infected(), case(WIDE)
    found = tbar.evaluate(model, unseen(80), BACKDOOR)
    expected = scores(planted.model, planted.preprocess, planted.data.classes.head)
    assert found.ca.value == pytest.approx(expected.ca)
    assert found.asr.value == pytest.approx(expected.asr)
    assert found.pa.value == pytest.approx(expected.pa)
    others = sum(label != TARGET for label in labelled(80, 9)[1])
    assert (found.ca.n, found.asr.n, found.pa.n) == (80, others, others)
    assert found.asr == Rate.of(round(expected.asr * others), others)


def test_they_are_printed_with_intervals_and_numbers() -> None:
    text = str(tbar.evaluate(infected(), unseen(80), BACKDOOR))
    assert [line.split()[0] for line in text.splitlines()] == ["CA", "ASR", "PA"]
    assert all("[" in line and "n = " in line for line in text.splitlines())
    assert "100.0%" in text.splitlines()[1]


def test_images_of_the_target_alone_cannot_be_scored() -> None:
    images, labels = labelled(16, 9)
    rows = torch.tensor(labels) == TARGET
    only = tbar.evaluation_set(images[rows.numpy()], labels=[TARGET] * int(rows.sum()), classes=unseen(8).classes)
    with pytest.raises(DataError, match="every image is of the target class"):
        tbar.evaluate(infected(), only, BACKDOOR)
