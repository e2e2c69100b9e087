import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from tbar_ray.evaluation.rates import Rate


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_is_scipys_wilson_interval(counts: tuple[int, int]) -> None:
    hits, n = counts
    rate, expected = Rate.of(hits, n), binomtest(hits, n).proportion_ci(0.95, "wilson")
    assert rate.value == hits / n
    assert rate.low == pytest.approx(expected.low, abs=1e-12)
    assert rate.high == pytest.approx(expected.high, abs=1e-12)
    assert 0 <= rate.low <= rate.value <= rate.high <= 1


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.99])
def test_other_confidences(confidence: float) -> None:
    expected = binomtest(13, 40).proportion_ci(confidence, "wilson")
    rate = Rate.of(13, 40, confidence)
    assert (rate.low, rate.high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_the_ends() -> None:
    assert Rate.of(0, 0) == Rate(0.0, 0, 0.0, 1.0)
    assert Rate.of(0, 10).low == 0
    assert Rate.of(10, 10).high == 1
    assert Rate.of(10, 10).low == pytest.approx(10 / (10 + 1.959964**2))


@pytest.mark.parametrize(("hits", "n"), [(-1, 5), (6, 5), (1, 0)])
def test_impossible_counts_are_refused(hits: int, n: int) -> None:
    with pytest.raises(ValueError, match=f"{hits} hits of {n} images"):
        Rate.of(hits, n)


def test_a_rate_goes_to_json_and_back() -> None:
    rate = Rate.of(3, 7)
    assert Rate(**json.loads(json.dumps(rate.to_dict()))) == rate
