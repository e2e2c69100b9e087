"""Selecting the scaling coefficient α on validation scores."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

Preference = Literal["accuracy", "strength"]
"""Of the points at which the backdoor is removed: the one with most CA, or the strongest.

The strongest is for a trigger that stands for another: the trigger that a search found goes at a smaller α than the
attacker's, so that its ASR says that the backdoor is gone while the attacker's still works.
"""


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
    points: Sequence[PointT],
    reference_ca: float,
    min_retention: float,
    max_asr: float | None = None,
    prefer: Preference = "accuracy",
) -> PointT | None:
    """Select the best point among those with CA ≥ min_retention · reference_ca.

    The best point has the lowest ASR (Ilharco et al., 2212.04089, for negation). With `max_asr`, the backdoor counts as
    removed at points at or below it, and one of them is best; if there is none, the lowest ASR. Of several such points
    "accuracy" takes the one with the highest CA (ties go to the lower ASR, then to the smaller |α|), and "strength" the
    one with the largest |α|. None if no point retains enough CA: the caller reports that instead of choosing one.
    """
    feasible = [p for p in points if _retains(p.ca, reference_ca, min_retention)]
    if not feasible:
        return None
    least = min(p.asr for p in feasible)
    removed = [p for p in feasible if p.asr <= (least if max_asr is None else max(least, max_asr))]
    if prefer == "strength":
        return max(removed, key=lambda p: abs(p.alpha))
    return min(removed, key=lambda p: (-p.ca, p.asr, abs(p.alpha)))
