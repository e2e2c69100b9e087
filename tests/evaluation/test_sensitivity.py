import json
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from tbar_ray.errors import DataError
from tbar_ray.evaluation.selection import select
from tbar_ray.evaluation.sensitivity import Sensitivity, alpha_sensitivity


@dataclass(frozen=True)
class At:
    alpha: float
    ca: float
    asr: float


FEW = settings(max_examples=150)
SHARE = st.integers(0, 20).map(lambda twentieths: twentieths / 20)
PATHS = st.lists(
    st.builds(At, alpha=st.integers(-8, 8).map(float), ca=SHARE, asr=SHARE),
    min_size=1, max_size=9, unique_by=lambda point: point.alpha,
)  # fmt: skip
LIMITS = {"max_asr": 0.3125, "min_retention": 0.59375}  # no rate of the paths lies on them


def test_the_range_between_the_crossings() -> None:
    # ASR falls from 1 to 0 over [0, 1]: 1 % at 0.99. CA falls from .8 at 1 to .6 at 2: .76 at 1.2
    path = [At(0, 0.8, 1.0), At(1, 0.8, 0.0), At(2, 0.6, 0.0), At(3, 0.0, 0.0)]
    found = alpha_sensitivity(path, 0.8, selected=1.0)
    assert (found.low, found.high) == pytest.approx((0.99, 1.2))
    assert found.width == found.total_width == pytest.approx(0.21)
    assert not found.censored
    assert found == alpha_sensitivity(path[::-1], 0.8)


def test_two_ranges() -> None:
    path = [At(0, 0.8, 1), At(1, 0.8, 0), At(2, 0.8, 1), At(3, 0.8, 0), At(5, 0.8, 0)]
    found = alpha_sensitivity(path, 0.8, selected=1.0, max_asr=0.25)
    np.testing.assert_allclose(found.intervals, [(0.75, 1.25), (2.75, 5.0)])
    assert (found.low, found.high, found.width) == pytest.approx((0.75, 1.25, 0.5))
    assert found.total_width == pytest.approx(2.75)
    assert not found.censored
    widest = alpha_sensitivity(path, 0.8, max_asr=0.25)
    assert (widest.low, widest.high, widest.width) == pytest.approx((2.75, 5.0, 2.25))
    assert (widest.censored_low, widest.censored_high, widest.censored) == (False, True, True)
    assert widest.total_width == found.total_width


def test_where_the_selected_alpha_is_not_good_there_is_no_range_around_it() -> None:
    path = [At(0, 0.8, 1), At(1, 0.8, 0), At(2, 0.8, 1)]
    found = alpha_sensitivity(path, 0.8, selected=2.0)
    assert (found.low, found.high, found.width, found.censored) == (None, None, 0, False)
    assert found.total_width == pytest.approx(0.02)
    nowhere = alpha_sensitivity([At(0, 0.1, 1), At(1, 0.1, 0)], 0.8)
    assert nowhere == Sensitivity(None, None, 0.0, 0.0, False, False, ())
    assert json.loads(json.dumps(nowhere.to_dict()))["intervals"] == []


def test_a_single_good_alpha_has_width_zero() -> None:
    # CA and ASR meet their limits at α = 1 only
    path = [At(0, 0.8, 0.5), At(1, 0.4, 0.25), At(2, 0.0, 0.0)]
    found = alpha_sensitivity(path, 0.8, selected=1.0, max_asr=0.25, min_retention=0.5)
    assert (found.low, found.high, found.width, found.censored) == (1, 1, 0, False)
    alone = alpha_sensitivity([At(2, 0.8, 0)], 0.8)
    assert (alone.low, alone.high, alone.width, alone.censored_low, alone.censored_high) == (2, 2, 0, True, True)


def good(path: list[At], alphas: np.ndarray) -> np.ndarray:
    xs = [point.alpha for point in path]
    asr, ca = (np.interp(alphas, xs, [getattr(point, name) for point in path]) for name in ("asr", "ca"))
    return (asr <= LIMITS["max_asr"]) & (ca >= LIMITS["min_retention"])


@FEW
@given(PATHS)
def test_the_ranges_are_where_the_interpolated_rates_are_good(points: list[At]) -> None:
    path = sorted(points, key=lambda point: point.alpha)
    found = alpha_sensitivity(points, 1.0, **LIMITS)
    alphas = np.linspace(path[0].alpha, path[-1].alpha, 4001)
    inside = np.zeros(len(alphas), bool)
    near_an_end = np.zeros(len(alphas), bool)
    for low, high in found.intervals:
        inside |= (low <= alphas) & (alphas <= high)
        near_an_end |= (np.abs(alphas - low) < 1e-9) | (np.abs(alphas - high) < 1e-9)
    assert ((inside == good(path, alphas)) | near_an_end).all()
    assert found.total_width == pytest.approx(sum(high - low for low, high in found.intervals))
    # ascending and apart
    ends = [end for interval in found.intervals for end in interval]
    assert ends == sorted(ends)
    assert all(one[1] < other[0] for one, other in zip(found.intervals, found.intervals[1:], strict=False))


@FEW
@given(PATHS.filter(lambda path: len(path) > 1), st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_a_finer_grid_of_the_same_lines_has_the_same_ranges(points: list[At], places: list[float]) -> None:
    path = sorted(points, key=lambda point: point.alpha)
    xs = [point.alpha for point in path]
    new = {round(xs[0] + place * (xs[-1] - xs[0]), 3) for place in places} - set(xs)
    assume(new)
    rates = {name: [getattr(point, name) for point in path] for name in ("ca", "asr")}
    fine = path + [At(x, float(np.interp(x, xs, rates["ca"])), float(np.interp(x, xs, rates["asr"]))) for x in new]
    one, other = alpha_sensitivity(path, 1.0, **LIMITS), alpha_sensitivity(fine, 1.0, **LIMITS)
    assert other.total_width == pytest.approx(one.total_width, abs=1e-9)
    assert other.width == pytest.approx(one.width, abs=1e-9)


@FEW
@given(PATHS, st.integers(1, 5), st.integers(-4, 4))
@example([At(1.0, 0.95, 0.55), At(2.0, 0.5, 0.25)], 1, 0)
def test_another_unit_or_direction_of_alpha(points: list[At], scale: int, shift: int) -> None:
    for point in points:
        found = alpha_sensitivity(points, 1.0, point.alpha, **LIMITS)
        shifted = [At(scale * p.alpha + shift, p.ca, p.asr) for p in points]
        moved = alpha_sensitivity(shifted, 1.0, scale * point.alpha + shift, **LIMITS)
        assert moved.width == pytest.approx(scale * found.width)
        assert moved.total_width == pytest.approx(scale * found.total_width)
        assert (moved.censored_low, moved.censored_high) == (found.censored_low, found.censored_high)
    back = alpha_sensitivity([At(-p.alpha, p.ca, p.asr) for p in points], 1.0, **LIMITS)
    mirrored = sorted((-high, -low) for low, high in found.intervals)
    # where both limits are met at one point alone, rounding decides whether it is an interval
    ends = [
        [end for low, high in some if high - low > 1e-9 for end in (low, high)] for some in (back.intervals, mirrored)
    ]
    assert ends[0] == pytest.approx(ends[1])
    assert back.total_width == pytest.approx(found.total_width)


@FEW
@given(PATHS, SHARE, SHARE, SHARE, SHARE)
def test_laxer_limits_never_narrow(
    points: list[At], asr: float, more_asr: float, retention: float, less_retention: float
) -> None:
    asr, more_asr = sorted((asr, more_asr))
    less_retention, retention = sorted((retention, less_retention))
    for point in points:
        strict = alpha_sensitivity(points, 1.0, point.alpha, asr, retention)
        lax = alpha_sensitivity(points, 1.0, point.alpha, more_asr, less_retention)
        assert lax.width >= strict.width - 1e-12
        assert lax.total_width >= strict.total_width - 1e-12


@FEW
@given(PATHS, SHARE.filter(bool), SHARE, SHARE)
def test_a_selected_alpha_that_removed_the_attack_lies_in_its_range(
    points: list[At], reference: float, retention: float, max_asr: float
) -> None:
    chosen = select(points, reference, retention, max_asr)
    assume(chosen is not None)
    assert chosen is not None
    found = alpha_sensitivity(points, reference, chosen.alpha, max_asr, retention)
    if chosen.asr <= max_asr:
        assert found.low is not None
        assert found.high is not None
        assert found.low <= chosen.alpha <= found.high
        assert found.width == found.high - found.low
    else:
        assert (found.low, found.width) == (None, 0)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([], "no points"),
        ([At(1, 0.5, 0), At(0, 0.5, 0), At(1, 0.6, 0)], "α 1 occurs twice"),
        ([At(1, float("nan"), 0)], "α 1 has CA nan and ASR 0, not finite"),
        ([At(float("inf"), 0.5, 0)], "not finite"),
    ],
)
def test_paths_that_cannot_be_measured(points: list[At], message: str) -> None:
    with pytest.raises(DataError, match=message):
        alpha_sensitivity(points, 0.5)
