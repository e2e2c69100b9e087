from __future__ import annotations

import math

import pytest
import torch

from tbar_ray.errors import DataError
from tbar_ray.evaluation.likeness import Likeness, footprint

CLEAN = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)


def stamped(rows: slice, level: int = 255) -> torch.Tensor:
    found = CLEAN.clone()
    found[:, :, rows] = level
    return found


def test_the_same_trigger_overlaps_in_full_at_no_distance() -> None:
    assert Likeness.of(CLEAN, stamped(slice(0, 1)), stamped(slice(0, 1))) == Likeness(1.0, 0.0, 2)


def test_overlap_and_distance_of_two_patches() -> None:
    found = Likeness.of(CLEAN, stamped(slice(0, 2)), stamped(slice(1, 3)))
    assert found.iou == pytest.approx(1 / 3)
    assert found.distance == pytest.approx(math.sqrt(0.5))  # half of the pixels differ by 1


def test_faint_changes_are_no_part_of_the_footprint() -> None:
    changed = stamped(slice(0, 1))
    changed[:, :, 2] = 20
    assert footprint(CLEAN, changed).sum() == 4
    assert not footprint(CLEAN, CLEAN).any()


def test_images_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(DataError, match="cannot be compared"):
        Likeness.of(CLEAN, CLEAN[:1], CLEAN)
    with pytest.raises(DataError, match="cannot be compared"):
        Likeness.of(CLEAN[:0], CLEAN[:0], CLEAN[:0])
