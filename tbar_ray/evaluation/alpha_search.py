"""Finding the scaling coefficient α that meets the criterion with few evaluations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Generic

from tbar_ray.evaluation.selection import PointT, select

TOLERANCE = 0.01
"""How much CA or ASR may rise with α and still count as falling: the noise of some hundred images."""


@dataclass(frozen=True)
class Found(Generic[PointT]):
    """What a search looked at.

    Attributes:
        points: every evaluated point, by rising α.
        chosen: the selected one; None if none keeps enough CA.
        monotone: whether CA and ASR fall with α as far as was seen; where they do not, all α were evaluated.
    """

    points: tuple[PointT, ...]
    chosen: PointT | None
    monotone: bool


def search_alpha(
    alphas: Sequence[float],
    evaluate: Callable[[float], PointT],
    reference_ca: float,
    min_retention: float,
    max_asr: float | None = None,
    sequential_test: Callable[[float], bool] | None = None,
) -> Found[PointT]:
    """Return the point that `select` would choose among all α, from about log₂ of their number.

    Along θ_b − α·τ both CA and ASR fall as a rule. Then the first α at which the backdoor is gone or too little CA is
    left is found by bisection: at most 8 evaluations of 21 on curves that fall strictly, a few more where ASR stays the
    same over many α. Where a rise of more than `TOLERANCE` shows, every α is evaluated instead.

    Args:
        alphas: the grid.
        evaluate: scores one α.
        reference_ca: CA of the infected model.
        min_retention: as for `select`.
        max_asr: as for `select`.
        sequential_test: says of an α whether ASR ≤ `max_asr` (0 if None) or CA < `min_retention`·`reference_ca`, from
            as few images as that takes; the bisection then asks it, and only the α around its end are scored in full.
    """
    order = sorted(alphas)
    known: dict[int, PointT] = {}
    tested: dict[int, bool] = {}

    def at(place: int) -> PointT:
        if place not in known:
            known[place] = evaluate(order[place])
        return known[place]

    def first(holds: Callable[[PointT], bool], low: int, high: int) -> int:
        """Return the first place in [low, high) where a condition holds, once it holds for all that follow; or high."""
        while low < high:
            middle = (low + high) // 2
            seen = [place for place in known if low <= place < high]
            if seen:  # points that are known already cost nothing
                middle = min(seen, key=lambda place: abs(place - middle))
            low, high = (low, middle) if holds(at(middle)) else (middle + 1, high)
        return low

    def lost(point: PointT) -> bool:
        return point.ca < min_retention * reference_ca

    def ended(point: PointT) -> bool:
        return point.asr <= goal or lost(point)

    def first_ended() -> int:
        """Bisect by sequential tests, and see whether the scores at the end say the same."""
        assert sequential_test is not None
        low, high = 0, count
        while low < high:
            middle = (low + high) // 2
            tested[middle] = sequential_test(order[middle])
            low, high = (low, middle) if tested[middle] else (middle + 1, high)
        return low

    count, goal = len(order), 0.0 if max_asr is None else max_asr
    end = first(ended, 0, count) if sequential_test is None else first_ended()
    if end < count and not lost(at(end)):
        # the backdoor is gone: of equal CA the least ASR counts
        place = end + 1
        while place < count and at(place).ca == at(end).ca and at(place).asr < at(place - 1).asr:
            place += 1
    elif end > 0:
        # all before keep enough CA: the least ASR is that of the last, and the first that has it counts
        least = at(end - 1).asr
        if end > 1 and at(end - 2).asr <= least:
            first(lambda point: point.asr <= least, 0, end - 1)
    seen = [known[place] for place in sorted(known)]
    rises = [rise for a, b in pairwise(seen) for rise in (b.ca - a.ca, b.asr - a.asr)]
    contradicted = any(place in known and ended(known[place]) != answer for place, answer in tested.items())
    monotone = max(rises, default=0.0) <= TOLERANCE and not contradicted
    if not monotone:
        seen = [at(place) for place in range(count)]
    return Found(tuple(seen), select(seen, reference_ca, min_retention, max_asr), monotone)
