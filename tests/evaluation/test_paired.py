from math import comb, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from tbar_ray.errors import DataError
from tbar_ray.evaluation.paired import compare, holm, mcnemar, newcombe_interval

COUNT = st.integers(0, 60)
TABLES = st.tuples(COUNT, COUNT, COUNT, COUNT).filter(any)


def outcomes(both: int, b: int, c: int, neither: int) -> tuple[list[bool], list[bool]]:
    pairs = [(True, True)] * both + [(True, False)] * b + [(False, True)] * c + [(False, False)] * neither
    return [one for one, _ in pairs], [two for _, two in pairs]


def test_the_published_example() -> None:
    # Bentur et al. as analysed by Fagerland, Lydersen and Laake (Statistics in Medicine 33, 2014, 2850-2875):
    # exact McNemar p = 0.070, Newcombe square-and-add interval (-0.507, -0.026)
    found = compare(*outcomes(1, 1, 7, 12))
    assert (found.n, found.both, found.only_first, found.only_second, found.neither) == (21, 1, 1, 7, 12)
    assert round(found.difference, 3) == -0.286
    assert round(found.p_value, 3) == 0.070
    assert (round(found.low, 3), round(found.high, 3)) == (-0.507, -0.026)


@given(COUNT, COUNT)
def test_mcnemar_sums_the_binomial_tails(b: int, c: int) -> None:
    n = b + c
    tail = sum(comb(n, k) for k in range(min(b, c) + 1)) / 2**n
    assert mcnemar(b, c) == pytest.approx(min(1.0, 2 * tail), rel=1e-9)
    assert mcnemar(b, c) == mcnemar(c, b)


@given(TABLES)
def test_the_interval_is_the_formula_of_method_10(table: tuple[int, int, int, int]) -> None:
    a, b, c, d = table
    n = sum(table)
    wilson = [binomtest(hits, n).proportion_ci(0.95, "wilson") for hits in (a + b, a + c)]
    p1, p2 = (a + b) / n, (a + c) / n
    (l1, u1), (l2, u2) = ((interval.low, interval.high) for interval in wilson)
    product = (a + b) * (c + d) * (a + c) * (b + d)
    top = a * d - b * c
    top = top - n / 2 if top > n / 2 else min(top, 0)
    phi = top / sqrt(product) if product else 0
    delta = sqrt(abs((p1 - l1) ** 2 - 2 * phi * (p1 - l1) * (u2 - p2) + (u2 - p2) ** 2))
    epsilon = sqrt(abs((u1 - p1) ** 2 - 2 * phi * (u1 - p1) * (p2 - l2) + (p2 - l2) ** 2))
    assert newcombe_interval(*table) == pytest.approx((p1 - p2 - delta, p1 - p2 + epsilon), abs=1e-7)


@given(TABLES)
def test_methods_may_change_places(table: tuple[int, int, int, int]) -> None:
    one, two = outcomes(*table)
    forth, back = compare(one, two), compare(two, one)
    assert forth.p_value == back.p_value
    assert forth.difference == -back.difference == pytest.approx(np.mean(one) - np.mean(two))
    assert (forth.low, forth.high) == pytest.approx((-back.high, -back.low), abs=1e-12)
    assert -1 <= forth.low <= forth.difference <= forth.high <= 1


def test_methods_that_never_disagree() -> None:
    found = compare(*outcomes(54, 0, 0, 0))
    assert (found.difference, found.p_value) == (0, 1)
    assert found.low < 0 < found.high


def test_the_order_of_the_images_is_of_no_account() -> None:
    rng = np.random.default_rng(3)
    one, two = rng.random(200) < 0.8, rng.random(200) < 0.6
    order = rng.permutation(200)
    assert compare(one, two) == compare(one[order], two[order])


def test_the_interval_covers_a_true_difference_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    cells = rng.multinomial(80, [0.5, 0.2, 0.1, 0.2], size=2000)
    intervals = [newcombe_interval(*(int(n) for n in row)) for row in cells]
    covered = np.mean([low <= 0.1 <= high for low, high in intervals])
    assert 0.93 < covered < 0.97


def test_holm_of_a_known_family() -> None:
    # by hand: .005·4, .01·3, .03·2, then .04·1 raised to the one before it
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0.001, 0.5))
def test_holm_rejects_what_its_step_down_rule_rejects(p_values: list[float], level: float) -> None:
    rejected: set[int] = set()
    for step, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if p_values[index] * (len(p_values) - step) > level:
            break
        rejected.add(index)
    adjusted = holm(p_values)
    assert {index for index, p in enumerate(adjusted) if p <= level} == rejected
    assert all(raw <= p <= min(1.0, raw * len(p_values)) + 1e-15 for raw, p in zip(p_values, adjusted, strict=True))


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (np.ones(3, bool), np.ones(2, bool), "not of the same images"),
        (np.ones((2, 2), bool), np.ones((2, 2), bool), "not of the same images"),
        (np.ones(0, bool), np.ones(0, bool), "no images"),
        (np.ones(2), np.ones(2, bool), "must be true or false, not float64 and bool"),
    ],
)
def test_outcomes_that_cannot_be_compared(first: np.ndarray, second: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=f"^paired comparison: .*{message}"):
        compare(first, second)


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_no_p_values(p: float) -> None:
    with pytest.raises(DataError, match="not all p-values"):
        holm([0.5, p])
