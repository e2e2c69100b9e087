"""The cut of an evaluation set into what chooses α and what is reported."""

from __future__ import annotations

import numpy as np
import pytest

from tbar_ray.data.arrays import ArraySamples
from tbar_ray.data.evaluation_set import EvaluationSet
from tbar_ray.evaluation.splits import Splits, load_split
from tbar_ray.models.factory import preprocessing
from tbar_ray.triggers.badnets import BadNets
from tbar_ray.triggers.base import stamp_uint8
from tests.models.tiny import pictures, tiny

LABELS = np.arange(60, dtype=np.int64) % 3


def data() -> EvaluationSet:
    images = pictures(tiny(), 60)
    return EvaluationSet(("a", "b", "c"), ("{c}",), ArraySamples(images.numpy(), LABELS.tolist()), LABELS)


def test_parts_are_disjoint_whole_and_stratified() -> None:
    validation, test = (Splits(0.25, None, 1).positions(data(), part) for part in ("validation", "test"))  # type: ignore[arg-type]
    assert sorted([*validation, *test]) == list(range(60))
    assert np.bincount(LABELS[validation]).tolist() == [5, 5, 5]


@pytest.mark.parametrize("limit", [12, 24, 600])
def test_a_limit_is_shared_by_both_parts(limit: int) -> None:
    parts = [Splits(0.25, limit, 1).positions(data(), part) for part in ("validation", "test")]  # type: ignore[arg-type]
    assert [len(part) for part in parts] == ([limit // 4, 3 * limit // 4] if limit < 60 else [15, 45])
    assert set(LABELS[parts[1]].tolist()) == {0, 1, 2}


def test_twins_are_stamped_at_the_test_place() -> None:
    trigger = BadNets(patch_size=56, place="top-left", test_place="bottom-right")
    positions = np.array([3, 5])
    split = load_split(data(), positions, trigger, preprocessing(tiny()))
    assert split.labels.tolist() == [0, 2]
    assert np.array_equal(split.clean.numpy(), pictures(tiny(), 60).numpy()[positions])
    expected = stamp_uint8(BadNets(patch_size=56, place="bottom-right"), split.clean, ["", ""])
    assert np.array_equal(split.triggered.numpy(), expected.numpy())
