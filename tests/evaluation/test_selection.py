from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tbar_ray.evaluation.selection import attackers_asr, missing_retention, penalised_asr, select


@dataclass(frozen=True)
class At:
    alpha: float
    ca: float
    asr: float


SHARE = st.integers(0, 20).map(lambda twentieths: twentieths / 20)
POINTS = st.lists(st.builds(At, alpha=st.integers(-5, 5).map(float), ca=SHARE, asr=SHARE), max_size=12)


def test_the_least_asr_among_those_that_keep_enough_ca() -> None:
    path = [At(0, 0.8, 1.0), At(0.5, 0.78, 0.4), At(1, 0.77, 0.1), At(1.5, 0.5, 0.0)]
    assert select(path, 0.8, 0.95) == path[2]
    assert select(path, 0.8, 1.0) == path[0]
    assert select(path, 0.8, 0.5) == path[3]


def test_ties_go_to_the_higher_ca_and_then_to_the_smaller_step() -> None:
    assert select([At(2, 0.8, 0), At(1, 0.79, 0), At(3, 0.8, 0), At(-2.5, 0.8, 0)], 0.8, 0.9) == At(2, 0.8, 0)
    assert select([At(-1, 0.8, 0), At(2, 0.8, 0)], 0.8, 0.9) == At(-1, 0.8, 0)


def test_the_strongest_of_those_that_remove_the_backdoor() -> None:
    path = [At(0, 0.8, 1.0), At(1, 0.79, 0.02), At(2, 0.78, 0.0), At(3, 0.77, 0.01), At(4, 0.5, 0.0)]
    assert select(path, 0.8, 0.95, 0.02) == path[1]
    assert select(path, 0.8, 0.95, 0.02, "strength") == path[3]
    assert select(path, 0.8, 0.95, 0.005, "strength") == path[2]
    assert select(path, 0.8, 0.95, None, "strength") == path[2]  # the least ASR counts as removed
    assert select(path[:2], 0.8, 0.95, 0.0, "strength") == path[1]  # nothing is removed: the lowest ASR
    assert select([At(-3, 0.8, 0.0), At(2, 0.8, 0.0)], 0.8, 0.9, 0.0, "strength") == At(-3, 0.8, 0.0)
    assert select(path[4:], 0.8, 0.95, 0.02, "strength") is None


def test_none_feasible_is_none() -> None:
    assert select([At(1, 0.1, 0.0), At(2, 0.2, 0.0)], 0.9, 0.95) is None
    assert select([], 0.9, 0.95) is None


@given(POINTS, SHARE, SHARE)
def test_the_chosen_point_is_feasible_and_none_is_better(points: list[At], reference: float, retention: float) -> None:
    feasible = [point for point in points if point.ca >= retention * reference]
    chosen = select(points, reference, retention)
    if chosen is None:
        assert not feasible
    else:
        assert chosen in feasible
        assert chosen.asr == min(point.asr for point in feasible)
        assert all(point.ca <= chosen.ca for point in feasible if point.asr == chosen.asr)


@given(POINTS.filter(bool), SHARE, SHARE)
def test_both_rules_agree_on_what_is_feasible(points: list[At], reference: float, retention: float) -> None:
    chosen = select(points, reference, retention)
    best = min(penalised_asr(point.ca, point.asr, reference, retention) for point in points)
    if chosen is None:
        assert best >= 1
    else:
        assert penalised_asr(chosen.ca, chosen.asr, reference, retention) == chosen.asr == best


@given(SHARE, SHARE, SHARE, SHARE, st.floats(0.05, 1), SHARE)
def test_the_penalised_asr_never_falls_with_more_asr_or_less_ca(
    ca: float, less_ca: float, asr: float, more_asr: float, reference: float, retention: float
) -> None:
    ca, less_ca = max(ca, less_ca), min(ca, less_ca)
    asr, more_asr = min(asr, more_asr), max(asr, more_asr)
    here = penalised_asr(ca, asr, reference, retention)
    assert here <= penalised_asr(ca, more_asr, reference, retention)
    assert here <= penalised_asr(less_ca, asr, reference, retention)


@pytest.mark.parametrize(
    ("ca", "asr", "reference", "retention", "expected"),
    [
        (0.76, 0.3, 0.8, 0.95, 0.3),
        (0.40, 0.0, 0.8, 0.95, 1.45),
        (0.00, 0.0, 0.8, 0.95, 1.95),
        (0.00, 0.2, 0.0, 0.95, 0.2),
        (0.50, 1.0, 0.5, 1.0, 1.0),
    ],
)
def test_penalised_asr(ca: float, asr: float, reference: float, retention: float, expected: float) -> None:
    assert penalised_asr(ca, asr, reference, retention) == pytest.approx(expected)


def test_of_points_that_removed_the_attack_the_one_with_most_ca() -> None:
    path = [At(0, 0.8, 1.0), At(1, 0.7, 0.05), At(2, 0.6, 0.01), At(3, 0.1, 0.0)]
    assert select(path, 0.8, 0.5, max_asr=0.05) == path[1]
    assert select(path, 0.8, 0.5, max_asr=0.02) == path[2]
    assert select(path, 0.8, 0.5, max_asr=0.001) == path[2]
    assert select(path, 0.8, 0.95, max_asr=0.05) == path[0]


@given(SHARE, SHARE, SHARE, SHARE)
def test_an_attacker_prefers_any_model_that_is_intact_to_any_that_is_not(
    asr: float, other: float, drop: float, more: float
) -> None:
    kept = attackers_asr(asr, drop, drop)
    assert kept == asr
    if more:
        assert attackers_asr(other, drop + more, drop) < kept
    assert attackers_asr(other, drop + more + 0.1, drop) < attackers_asr(1.0, drop + more, drop)


def test_retention_is_missing_where_the_penalty_is_whatever_a_quotient_rounds_off() -> None:
    for number in range(1, 400):
        ca, reference = number * 0.95 / 400, number / 400
        for shift in (0.0, 1e-16, -1e-16, 0.01, -0.01):
            missing = missing_retention(ca + shift, reference, 0.95)
            assert (missing > 0) == (penalised_asr(ca + shift, 0.5, reference, 0.95) >= 1)
    assert missing_retention(0.0, 0.0, 0.95) == 0.0
    assert missing_retention(0.4, 0.8, 0.95) == pytest.approx(0.45)
