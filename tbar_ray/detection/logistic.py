"""Logistic regression from the scores of several searches to the probability that a model is infected."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.optimize import minimize
from scipy.special import expit

Floats = NDArray[np.float64]


class Logistic(BaseModel):
    """Weights of standardised scores; clean and infected models are taken to be equally frequent.

    Scores pass arsinh first, which is linear about 0 and logarithmic beyond: a search's score may be a hundred times
    that of another infected model. No weight is negative: a higher score never makes a model less suspicious.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    centre: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float

    def probabilities(self, scores: Floats) -> Floats:
        """Probability of being infected [N] of models with scores [N, D]."""
        standard = (np.arcsinh(scores) - self.centre) / self.scale
        found: Floats = expit(standard @ np.array(self.weights) + self.bias)
        return found


def fit_logistic(scores: Floats, infected: NDArray[np.bool_], penalty: float = 1.0) -> Logistic:
    """Fit by the likelihood, in which both kinds of model have the same weight in all.

    Args:
        scores: float [N, D], finite.
        infected: bool [N], of both kinds.
        penalty: of half the sum of squared weights, against the sum over models; without it, separable scores would
            have infinite weights.

    Raises:
        ValueError: if one kind of model is missing.
    """
    count, share = len(infected), float(np.mean(infected))
    if share in (0.0, 1.0):
        raise ValueError("a logistic regression needs clean and infected models")
    bent = np.arcsinh(scores)
    centre, scale = bent.mean(0), bent.std(0)
    scale = np.where(scale > 0, scale, 1.0)  # a search that says the same of every model tells nothing
    inputs, signs = (bent - centre) / scale, np.where(infected, 1.0, -1.0)
    importance = np.where(infected, 0.5 / share, 0.5 / (1 - share))

    def objective(parameters: Floats) -> tuple[float, Floats]:
        weights, bias = parameters[:-1], parameters[-1]
        margins = signs * (inputs @ weights + bias)
        slopes = -importance * signs * expit(-margins)
        loss = importance @ np.logaddexp(0, -margins) + penalty / 2 * weights @ weights
        return float(loss), np.append(inputs.T @ slopes + penalty * weights, slopes.sum())

    bounds = [(0.0, None)] * inputs.shape[1] + [(None, None)]
    options = {"maxiter": 10_000, "ftol": 1e-14, "gtol": 1e-9 * count}
    found = minimize(objective, np.zeros(len(bounds)), jac=True, bounds=bounds, method="L-BFGS-B", options=options).x
    return Logistic(centre=_plain(centre), scale=_plain(scale), weights=_plain(found[:-1]), bias=float(found[-1]))


def _plain(values: Floats) -> tuple[float, ...]:
    return tuple(values.tolist())
