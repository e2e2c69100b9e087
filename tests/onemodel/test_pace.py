"""How long cleaning will take."""

from __future__ import annotations

import pytest

from tbar_ray.onemodel.pace import Expected, Pace, duration, expected, measure_pace
from tbar_ray.unlearning.registry import build_unlearner
from tests.api.world import CLASSES, infected

SIZES = {"forget": 40, "validation": 100, "test": 200, "prompts": 50, "alphas": 3}


@pytest.mark.parametrize(("method", "passes"), [("tbar", 3), ("twin-distillation", 8)])
def test_parts_are_counted_in_forward_passes(method: str, passes: int) -> None:
    found = expected(Pace(0.01, 0.1), build_unlearner(method, {"steps": 5, "batch_size": 64}), **SIZES).parts
    assert found["unlearning"] == pytest.approx(5 * 40 * passes * 0.01)
    assert found["class embeddings"] == pytest.approx(50 * 0.1)
    assert found["scores"] == pytest.approx(2 * (4 * 100 + 2 * 200) * 0.01)


def test_statistics_that_are_estimated_anew_take_time_at_every_alpha() -> None:
    method = build_unlearner("tbar", {"steps": 5})
    plain, twice = (expected(Pace(1, 1), method, **SIZES, reestimated=found).parts for found in (False, True))
    assert plain["scores"] is not None
    assert twice["scores"] == plain["scores"] + 3 * (2 * 100 + 40)


def test_what_a_method_takes_that_trains_otherwise_is_not_known() -> None:
    found = expected(Pace(0.01, 0.1), build_unlearner("shapley-pruning", {}), **SIZES)
    assert found.parts["unlearning"] is None
    assert str(found).startswith("at least ")
    assert "unlearning ?" in str(found)


def test_the_pace_is_measured_on_the_model() -> None:
    pace = measure_pace(infected(), CLASSES)
    assert 0 < pace.image < 1
    assert 0 < pace.text < 1


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 s"), (59, "59 s"), (160, "2 min 40 s"), (660, "11 min"), (3900, "1 h 5 min")]
)
def test_durations_are_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words
    assert str(Expected({"scores": seconds})) == f"about {words} (scores {words})"
