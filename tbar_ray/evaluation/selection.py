"""Selecting the scaling coefficient α on validation scores."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar


class Point(Protocol):
    """A validation score at one α."""

    @property
    def alpha(self) -> float: ...  # noqa: D102
    @property
    def ca(self) -> float: ...  # noqa: D102
    @property
    def asr(self) -> float: ...  # noqa: D102


PointT = TypeVar("PointT", bound=Point)


@dataclass(frozen=True)
class AlphaPoint:
    """Validation CA and ASR, shares in [0, 1], at one α."""

    alpha: float
    ca: float
    asr: float


def penalised_asr(ca: float, asr: float, reference_ca: float, min_retention: float) -> float:
    """Objective to minimise: the ASR if enough CA is retained, else 1 + the missing retention.

    Retention is ca / reference_ca, with the infected model's CA as reference. Any model that retains
    enough CA is thus better than any that does not.
    """
    if _retains(ca, reference_ca, min_retention):
        return asr
    return 1.0 + max(0.0, min_retention - ca / reference_ca)


def missing_retention(ca: float, reference_ca: float, min_retention: float) -> float:
    """Retention that a model lacks: above 0 if it retains too little CA, 0 or below if enough."""
    missing = min_retention - ca / reference_ca if reference_ca else 0.0
    enough = _retains(ca, reference_ca, min_retention)  # what is rounded off in a quotient decides nothing
    return min(0.0, missing) if enough else max(missing, sys.float_info.min)


def attackers_asr(asr: float, ca_drop: float, max_ca_drop: float) -> float:
    """An attacker's objective to maximise: the ASR if the attack costs little enough CA, else less than any such ASR.

    Args:
        asr: of the infected model, in [0, 1].
        ca_drop: CA of the clean model less that of the infected one.
        max_ca_drop: what it may be.

    Returns:
        The ASR, or the drop beyond what it may be, negated.
    """
    return asr if ca_drop <= max_ca_drop else max_ca_drop - ca_drop


def _retains(ca: float, reference_ca: float, min_retention: float) -> bool:
    return ca >= min_retention * reference_ca


def select(
    points: Sequence[PointT], reference_ca: float, min_retention: float, max_asr: float | None = None
) -> PointT | None:
    """Select the best point among those with CA ≥ min_retention · reference_ca.

    The best point has the lowest ASR (Ilharco et al., 2212.04089, for negation). With `max_asr`, the backdoor counts as
    removed at points at or below it, and the one of them with the highest CA is best; if there is none, the lowest ASR.
    Ties go to the higher CA, then to the smaller |α|. None if no point retains enough CA: the caller
    reports that instead of choosing one.
    """
    feasible = [p for p in points if _retains(p.ca, reference_ca, min_retention)]
    removed = [p for p in feasible if max_asr is not None and p.asr <= max_asr]
    if removed:
        return min(removed, key=lambda p: (-p.ca, p.asr, abs(p.alpha)))
    return min(feasible, key=lambda p: (p.asr, -p.ca, abs(p.alpha)), default=None)
