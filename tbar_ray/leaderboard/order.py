"""The rules by which cells of one attack and seed are put in order, and the ranks that follow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tbar_ray.evaluation.rebound import ELIGIBLE
from tbar_ray.leaderboard.aims import KEPT_CA, REMOVED, is_removed
from tbar_ray.leaderboard.cell import Cell

Place = tuple[int, ...]
"""Cells are ordered by it, the best first; equal ones share a rank."""


@dataclass(frozen=True)
class Rule:
    """A rule.

    Attributes:
        name: of the ranking.
        text: what it says, in one sentence.
        place: of a cell; None where the cell lacks what the rule compares.
        whole: whether a measured cell may lack that. Such cells leave out their method or their attack and seed, by
            the share of those that have anything to measure: who removed nothing lacks nothing, and must not be first
            of those that are left.
    """

    name: str
    text: str
    place: Callable[[Cell], Place | None]
    whole: bool = False


def as_cleaned(cell: Cell) -> Place | None:
    """First what is removed, by PA; then the others by ASR plus the share of CA lost; last what gave no model."""
    if cell.gave_no_model:
        return (2,)
    asr, pa, lost = cell.value("asr"), cell.value("pa"), cell.ca_lost
    if cell.status != "done" or asr is None or pa is None or lost is None:
        return None
    return (0, -_points(pa)) if is_removed(cell) else (1, _points(asr + lost))


def after_tuning(cell: Cell) -> Place | None:
    """First ASR ≤ 10 %, by A_post plus the share of CA lost; then the others by ASR plus that; last no model."""
    if cell.gave_no_model:
        return (2,)
    asr, lost = cell.value("asr"), cell.ca_lost
    if cell.status != "done" or asr is None or lost is None:
        return None
    if not cell.can_come_back:  # whether or not it was fine-tuned
        return 1, _points(asr + lost)
    highest = None if cell.after is None else cell.after.highest.value
    return None if highest is None else (0, _points(highest + lost))


RULES: Sequence[Rule] = (
    Rule(
        "as cleaned",
        f"Removed (ASR ≤ {REMOVED:.0%} and CA kept ≥ {KEPT_CA:.0%}) comes first, in the order of PA; then the "
        "others by ASR plus the share of CA lost; last, tied, methods that gave no model. In whole points.",
        as_cleaned,
    ),
    Rule(
        "after clean fine-tuning",
        f"Cells with ASR ≤ {ELIGIBLE:.0%} come first, in the order of A_post plus the share of CA lost in the removal; "
        "then the others by ASR plus that share; last, tied, methods that gave no model. In whole points. As long as "
        "A_post of such a cell is not known, the method, or the attack with a seed, that lacks the largest share is "
        "left out.",
        after_tuning,
        whole=True,
    ),
)


def ranks(places: Mapping[str, Place]) -> dict[str, float]:
    """Ranks from 1, the best, by name; equal places share the mean of their ranks."""
    ordered = sorted(places.values())
    last = {place: number for number, place in enumerate(ordered, start=1)}
    return {name: last[place] - (ordered.count(place) - 1) / 2 for name, place in places.items()}


def _points(share: float) -> int:
    """Whole points: of 1,600 images the interval of a share is wider than one point, so less is no difference."""
    return round(share * 100)
