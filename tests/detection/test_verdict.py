"""From scores to a verdict."""

from __future__ import annotations

import pytest

from tbar_ray.detection.verdict import Judgement, beyond_reach, judge_scores
from tests.detection.zoo import placeholder

CALIBRATION = placeholder(noise=6.0)


def judged(noise: float | None, decree: float | None, **more: float | None) -> Judgement:
    scores = {"universal-noise": noise, "decree": decree, **more}
    return judge_scores(CALIBRATION, scores, "tbar-GN-pico", 64, 8)


def test_scores_become_a_probability_and_a_verdict() -> None:
    low, middle, high = judged(2.5, 0.95), judged(4.5, 1.3), judged(9, 1.8)
    assert (low.outcome, high.outcome) == ("no evidence", "infected")
    assert [each.probability for each in (low, middle, high)] == sorted(
        each.probability or 0 for each in (low, middle, high)
    )
    assert high.combination is CALIBRATION.combination(["universal-noise", "decree"])
    assert (high.unconverged, high.unweighed, high.beyond) == ((), (), ())


def test_between_the_lines_it_is_inconclusive() -> None:
    calibration = placeholder(noise=4.0, decree=1.0, each=100)
    combination = calibration.combination(["universal-noise"])
    assert combination is not None
    outcomes = [
        judge_scores(calibration, {"universal-noise": score}, "tbar-GN-pico", 64, 8).outcome for score in (0, 3.5, 9)
    ]
    assert outcomes == ["no evidence", "inconclusive", "infected"]


def test_a_search_that_did_not_converge_never_clears_a_model() -> None:
    assert judged(2.0, None).outcome == "inconclusive"
    assert judged(None, 0.9).outcome == "inconclusive"
    nothing = judged(None, None)
    assert (nothing.outcome, nothing.probability, nothing.combination) == ("inconclusive", None, None)
    alarmed = judged(12.0, None)
    assert (alarmed.outcome, alarmed.unconverged) == ("infected", ("decree",))
    assert alarmed.combination is CALIBRATION.combination(["universal-noise"])


def test_a_search_without_reference_scores_counts_for_nothing() -> None:
    found = judged(2.5, 0.95, other=100.0)
    assert (found.unweighed, found.outcome, found.probability) == (
        ("other",),
        "no evidence",
        judged(2.5, 0.95).probability,
    )
    assert judge_scores(CALIBRATION, {"other": 100.0}, "tbar-GN-pico", 64, 8).outcome == "inconclusive"


def test_low_scores_clear_no_model_that_no_reference_model_is_like() -> None:
    known = judged(2.5, 0.95)
    unlike = judge_scores(CALIBRATION, {"universal-noise": 2.5, "decree": 0.95}, "ViT-B-32", 64, 8)
    assert (known.outcome, unlike.outcome) == ("no evidence", "inconclusive")
    assert known.probability is not None
    assert (unlike.probability, unlike.combination) == (None, known.combination)


def test_a_model_unlike_the_reference_models_is_infected_if_every_score_is_above_all_clean_ones() -> None:
    highest = {name: max(CALIBRATION.scores(name, infected=False)) for name in ("universal-noise", "decree")}
    above = {"universal-noise": 20.0, "decree": highest["decree"] + 0.1}
    one_among = {"universal-noise": 20.0, "decree": highest["decree"]}
    assert judge_scores(CALIBRATION, one_among, "tbar-GN-pico", 64, 8).outcome == "infected"
    outcomes = [judge_scores(CALIBRATION, scores, "ViT-B-32", 64, 8).outcome for scores in (above, one_among)]
    assert outcomes == ["infected", "inconclusive"]


@pytest.mark.parametrize(
    ("architecture", "images", "classes", "beyond"),
    [
        ("tbar-GN-pico", 64, 8, ()),
        ("tbar-GN-pico@imagenet", 640, 16, ()),
        ("tbar-GN-pico", 64, 0, ()),
        ("tbar-RN-pico", 64, 8, ("its architecture is tbar-RN-pico, theirs are tbar-GN-pico",)),
        ("tbar-GN-pico", 64, 1000, ("its head has 1,000 classes, theirs 8",)),
        ("tbar-GN-pico", 31, 8, ("it was searched with 31 images, they with 64 or more",)),
    ],
)
def test_models_unlike_the_reference_models_are_named(
    architecture: str, images: int, classes: int, beyond: tuple[str, ...]
) -> None:
    assert beyond_reach(CALIBRATION, architecture, images, classes) == beyond


def test_another_image_size_is_named() -> None:
    _, size = beyond_reach(CALIBRATION, "ViT-B-32", 64, 8)
    assert size == "its images have 224 px, theirs 64"
