"""How well scores tell infected models from clean ones, and where to draw the line."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEAST_PROBABILITY = 1e-12
"""What a probability of 0 counts as in the cross-entropy, which would be infinite."""


def auroc(clean: ArrayLike, infected: ArrayLike) -> float:
    """Share of pairs of one infected and one clean model in which the infected one scores more; ties count half.

    Raises:
        ValueError: if there is no clean or no infected model.
    """
    negative, positive = _scores(clean, infected)
    difference = positive[:, None] - negative[None, :]
    return float((difference > 0).mean() + (difference == 0).mean() / 2)


def cross_entropy(probabilities: ArrayLike, infected: ArrayLike) -> float:
    """Mean of −ln of the probability that was given to each model's true state; 0.69 for a coin.

    Args:
        probabilities: that a model is infected, in [0, 1].
        infected: whether it is.
    """
    given, truth = np.asarray(probabilities, float), np.asarray(infected, bool)
    of_truth = np.where(truth, given, 1 - given)
    return float(-np.log(of_truth.clip(LEAST_PROBABILITY)).mean())


def caught(clean: ArrayLike, infected: ArrayLike, false_alarms: float) -> float:
    """The highest share of infected models above a threshold that at most a share of the clean ones exceeds.

    Args:
        clean: scores.
        infected: scores.
        false_alarms: share of clean models that may exceed it, in [0, 1).

    Raises:
        ValueError: if there is no clean or no infected model.
    """
    negative, positive = _scores(clean, infected)
    return float((positive > _highest_allowed(negative, false_alarms)).mean())


def alarm_threshold(clean: ArrayLike, infected: ArrayLike, false_alarms: float) -> float:
    """Score from which a model counts as infected.

    Of all thresholds that at most the permitted share of the clean models reaches, those that catch most infected
    models; of these, the one that the fewest clean models reach, in the middle of its gap. Infinite if no infected
    model scores above the clean ones that must not be reached.

    Args:
        clean: scores.
        infected: scores.
        false_alarms: share of clean models that may reach it, in [0, 1).

    Raises:
        ValueError: if there is no clean or no infected model.
    """
    least = _weakest_beyond(*_scores(clean, infected), false_alarms)
    below = np.asarray(clean, float)
    below = below[below < least]
    return (least + float(below.max())) / 2 if len(below) else least


def clear_threshold(clean: ArrayLike, infected: ArrayLike, misses: float) -> float:
    """Score up to which there is no evidence: the highest of a clean model that few infected models do not exceed.

    At most a share `misses` of the infected models scores so low. In the gap above it no clean model was seen.
    Infinite and negative if every clean model scores above infected ones that must not be cleared.
    """
    negative, positive = _scores(clean, infected)
    return -_weakest_beyond(-positive, -negative, misses)


def _weakest_beyond(negative: NDArray[np.float64], positive: NDArray[np.float64], share: float) -> float:
    """The least positive above all negatives but a share; infinite if there is none."""
    above = positive[positive > _highest_allowed(negative, share)]
    return float(above.min()) if len(above) else float("inf")


def _highest_allowed(negative: NDArray[np.float64], share: float) -> float:
    """The score that a threshold must exceed, so that at most a share of the negatives reaches it."""
    allowed = int(share * len(negative) + 1e-9)  # 0.02 · 50 is 1, not 0.99…
    return float(np.sort(negative)[::-1][allowed])


def _scores(clean: ArrayLike, infected: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    negative, positive = np.asarray(clean, float), np.asarray(infected, float)
    if len(negative) == 0 or len(positive) == 0:
        raise ValueError(f"{len(negative)} clean and {len(positive)} infected models: both kinds are needed")
    return negative, positive
