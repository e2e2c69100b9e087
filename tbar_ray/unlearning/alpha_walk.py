"""Walking α on validation images, and selecting one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from tbar_ray.errors import SpecError
from tbar_ray.evaluation.alpha_search import search_alpha
from tbar_ray.evaluation.selection import AlphaPoint, Preference, select
from tbar_ray.unlearning.edit_scores import EditScores

AlphaSearch = Literal["grid", "bisection"]
"""Score every α, or only those that a bisection asks for."""

DEFAULT_ALPHAS = tuple(round(0.05 * i, 2) for i in range(21))
"""0 to 1 in steps of 0.05."""


@dataclass(frozen=True)
class Walked:
    """The result of a walk.

    Attributes:
        points: the α that were scored in full.
        chosen: the selected one; None if none keeps enough CA.
        monotone: whether CA and ASR fall with α, as far as a bisection saw; None for a grid.
    """

    points: tuple[AlphaPoint, ...]
    chosen: AlphaPoint | None
    monotone: bool | None = None


def walk_alpha(
    scores: EditScores,
    alphas: Sequence[float],
    min_retention: float,
    max_asr: float | None = None,
    search: AlphaSearch = "grid",
    point: Callable[[float], AlphaPoint] | None = None,
    prefer: Preference = "accuracy",
) -> Walked:
    """Score α on validation images and select one by `evaluation.selection.select`.

    Afterwards `scores.path` is in the order of `alphas` (grid), or by rising α (bisection).

    Args:
        scores: gives the scores.
        alphas: the grid.
        min_retention: share of the infected model's CA to keep, in [0, 1].
        max_asr: ASR at which the backdoor counts as removed; None: the least ASR is best.
        search: which α are scored: all (grid), or those that a bisection needs.
        point: scores one α; `scores.point` unless given.
        prefer: which of the α that remove the backdoor is selected; "strength" needs the grid.

    Raises:
        SpecError: if the strongest is to be found by bisection, which stops at the first α that removes the backdoor.
    """
    point, reference = point or scores.point, scores.reference_ca
    if search == "bisection":
        if prefer == "strength":
            raise SpecError(
                "the strongest α is found on the whole grid: bisection stops at the first that removes the backdoor"
            )

        def ended(alpha: float) -> bool:
            return scores.gone_or_spent(alpha, min_retention * reference, max_asr or 0.0)

        found = search_alpha(alphas, point, reference, min_retention, max_asr, ended)
        scores.path.sort(key=lambda entry: float(entry["alpha"]))
        return Walked(found.points, found.chosen, found.monotone)
    points = tuple(point(alpha) for alpha in alphas)
    scores.path.sort(key=lambda entry: alphas.index(entry["alpha"]))
    return Walked(points, select(points, reference, min_retention, max_asr, prefer))
