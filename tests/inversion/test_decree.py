from __future__ import annotations

import math

import torch

from tbar_ray.inversion.decree import Decree, _mean_cosine, _Start
from tests.inversion.encoders import CORNER, subject

MASK, PATTERN = torch.ones(1, 2, 2), torch.zeros(3, 2, 2)


def test_a_backdoor_needs_a_smaller_mask_than_a_clean_encoder_and_it_lies_on_the_trigger() -> None:
    search = Decree(starts=2, steps=250)
    infected, clean = (search.invert(subject(strength), 0) for strength in (8.0, 0.0))
    assert infected.score is not None
    assert clean.score is not None
    assert infected.score > clean.score + 0.2
    assert infected.trigger is not None
    mask = infected.trigger.mask()
    assert mask[CORNER, CORNER].mean() > 4 * mask.mean()


def test_a_search_that_never_succeeds_says_that_it_did_not_converge() -> None:
    found = Decree(starts=1, steps=2).invert(subject(), 0)
    assert found.trigger is None
    assert found.score is None
    assert found.facts["pl1"] == [None]


def test_needs_no_classes_and_repeats_itself() -> None:
    search = Decree(starts=2, steps=20)
    assert search.invert(subject(8.0, head=False), 0).losses == search.invert(subject(8.0), 0).losses


def test_the_weight_rises_after_six_successes_and_falls_after_six_failures() -> None:
    start = _Start()
    for _ in range(5):
        start.tell(0.995, 10, MASK, PATTERN)
    assert start.weight == 1e-3
    start.tell(0.995, 10, MASK, PATTERN)
    assert math.isclose(start.weight, 5e-3)
    for _ in range(6):
        start.tell(0.5, 10, MASK, PATTERN)
    assert math.isclose(start.weight, 1e-3)


def test_the_weight_starts_anew_after_eleven_successes_below_its_floor() -> None:
    start = _Start(weight=5e-8)
    for _ in range(5):
        start.tell(0.995, 10, MASK, PATTERN)
    start.up = 0  # so that it does not rise on the way
    for _ in range(5):
        start.tell(0.995, 10, MASK, PATTERN)
    assert start.weight == 5e-8
    start.up = 0
    start.tell(0.995, 10, MASK, PATTERN)
    assert start.weight == 1e-3


def test_only_a_smaller_mask_of_a_success_is_kept() -> None:
    start = _Start()
    start.tell(0.5, 1, MASK, PATTERN)
    assert start.mask is None
    start.tell(0.995, 10, MASK, PATTERN)
    start.tell(-0.995, 12, 2 * MASK, PATTERN)
    assert start.least == 10
    assert start.mask is not None
    assert torch.equal(start.mask, MASK)
    start.tell(0.995, 9, 3 * MASK, PATTERN)
    assert start.least == 9


def test_it_stops_after_35_batches_without_a_smaller_mask_once_all_look_alike() -> None:
    start = _Start()
    start.tell(0.995, 10, MASK, PATTERN)
    for _ in range(35):
        start.tell(0.995, 10, MASK, PATTERN)
    assert not start.ended()
    start.tell(0.995, 10, MASK, PATTERN)
    assert start.ended()
    start.tell(0.5, 10, MASK, PATTERN)
    assert not start.ended()  # the epoch's images no longer look alike


def test_batches_before_the_first_success_do_not_count_as_stale() -> None:
    start = _Start()
    for _ in range(40):
        start.tell(0.5, 10, MASK, PATTERN)
    start.tell(0.995, 10, MASK, PATTERN)
    start.cosines.clear()
    start.tell(0.995, 10, MASK, PATTERN)
    assert not start.ended()
    assert start.stale == 1


def test_the_least_mask_of_all_starts_is_taken() -> None:
    found = Decree(starts=2, steps=250).invert(subject(8.0), 0)
    sizes = found.facts["pl1"]
    assert isinstance(sizes, list)
    assert sizes[0] != sizes[1]
    assert found.score is not None
    assert math.isclose(10**-found.score, min(sizes), rel_tol=1e-5)


def test_the_mean_cosine_is_of_different_rows_only() -> None:
    rows = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    assert math.isclose(float(_mean_cosine(rows[None])), 1 / 3, rel_tol=1e-6)
