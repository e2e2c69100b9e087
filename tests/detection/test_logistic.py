"""The regression from scores to a probability."""

from __future__ import annotations

import numpy as np
import pytest

from tbar_ray.detection.logistic import fit_logistic


def test_the_fit_solves_its_equation() -> None:
    # two models at ±1 after standardising: the slope of 2·ln(1 + e^−w) + w²/2 vanishes at w = 2/(1 + e^w)
    fitted = fit_logistic(np.sinh([[-3.0], [5.0]]), np.array([False, True]))
    (weight,) = fitted.weights
    assert (fitted.centre, fitted.scale) == (pytest.approx((1.0,)), pytest.approx((4.0,)))
    assert weight == pytest.approx(2 / (1 + np.exp(weight)), abs=1e-6)
    assert fitted.bias == pytest.approx(0, abs=1e-6)
    assert fitted.probabilities(np.sinh([[1.0], [5.0]])) == pytest.approx([0.5, 1 / (1 + np.exp(-weight))], abs=1e-6)


def test_rare_clean_models_weigh_as_much_as_many_infected_ones() -> None:
    generator = np.random.default_rng(0)
    clean, infected = generator.normal(0, 1, (40, 1)), generator.normal(0, 1, (400, 1))
    fitted = fit_logistic(np.concatenate((clean, infected)), np.arange(440) >= 40)
    assert fitted.probabilities(np.zeros((1, 1)))[0] == pytest.approx(0.5, abs=0.05)


def test_a_higher_score_never_clears_a_model() -> None:
    state = np.array([False] * 4 + [True] * 4)
    useful, misleading = np.arange(8.0), np.array([3.0, 4, 5, 4, 0, 1, 0, 1])
    weights = fit_logistic(np.stack((useful, misleading), 1), state).weights
    assert weights[0] > 0.5
    assert weights[1] == 0


def test_a_search_that_says_the_same_of_all_models_is_ignored() -> None:
    fitted = fit_logistic(np.array([[1.0, 7], [2, 7], [3, 7], [4, 7]]), np.array([False, False, True, True]))
    assert fitted.weights[1] == 0
    assert np.isfinite(fitted.probabilities(np.array([[2.0, 9.0]]))).all()


def test_both_kinds_are_needed() -> None:
    with pytest.raises(ValueError, match="clean and infected"):
        fit_logistic(np.ones((3, 1)), np.array([True, True, True]))
