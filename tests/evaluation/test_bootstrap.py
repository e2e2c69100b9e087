import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap

from tbar_ray.errors import DataError
from tbar_ray.evaluation.bootstrap import Aggregate, aggregate

SHARES = st.lists(st.floats(0, 1), min_size=2, max_size=8)


@pytest.mark.parametrize("values", [[0.1, 0.4, 0.9], [0.02, 0.03, 0.05, 0.9], list(np.linspace(0, 1, 12))])
@pytest.mark.parametrize("confidence", [0.95, 0.8])
def test_the_interval_is_scipys_percentile_interval(values: list[float], confidence: float) -> None:
    expected = bootstrap(
        (values,), np.mean, n_resamples=40_000, confidence_level=confidence, method="percentile",
        random_state=np.random.default_rng(1),
    ).confidence_interval  # fmt: skip
    found = aggregate(values, confidence=confidence)
    assert found.mean == pytest.approx(np.mean(values))
    # 10,000 draws leave the quantile's own noise: a few hundredths of the spread
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=0.06 * float(np.std(values)))


def test_two_values_are_drawn_alike_in_half_the_cases() -> None:
    # both the lower value: 1/4, both the upper: 1/4; each beyond 2.5 %, so the interval is the range
    assert aggregate([0.2, 0.8]) == Aggregate(0.5, 2, pytest.approx(0.2), pytest.approx(0.8))


@given(SHARES, st.randoms(use_true_random=False))
def test_order_is_of_no_account_and_the_interval_lies_within_the_range(values: list[float], random: object) -> None:
    found = aggregate(values)
    shuffled = list(values)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert aggregate(shuffled) == found
    assert found.low is not None
    assert found.high is not None
    slack = 1e-12
    assert min(values) - slack <= found.low <= found.mean <= found.high <= max(values) + slack


@given(SHARES, st.floats(0.1, 10), st.floats(-5, 5))
def test_a_change_of_unit_changes_the_interval_alike(values: list[float], scale: float, shift: float) -> None:
    one, other = aggregate(values), aggregate([scale * value + shift for value in values])
    expected = [scale * value + shift for value in (one.mean, one.low, one.high)]  # type: ignore[operator]
    assert [other.mean, other.low, other.high] == pytest.approx(expected, abs=1e-9)


def test_the_seed_decides_the_draws() -> None:
    values = list(np.random.default_rng(2).normal(size=7))
    assert aggregate(values, seed=1) == aggregate(values, seed=1)
    assert aggregate(values, seed=1) != aggregate(values, seed=2)


def test_one_value_has_no_interval_and_equal_values_none_to_speak_of() -> None:
    assert aggregate([0.3]).to_dict() == {"mean": 0.3, "n": 1, "low": None, "high": None}
    same = aggregate([0.1, 0.1, 0.1])
    assert same.low == pytest.approx(0.1)
    assert same.high == pytest.approx(0.1)
    assert json.loads(json.dumps(same.to_dict()))["n"] == 3


@pytest.mark.parametrize(
    ("values", "message"),
    [([], "no values"), ([0.1, float("nan")], "not all finite"), ([float("inf")], "not all finite")],
)
def test_values_that_have_no_mean(values: list[float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        aggregate(values)
