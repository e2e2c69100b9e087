"""The rules by which cells of one attack and seed are put in order, and the ranks that follow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tbar_ray.evaluation.rebound import ELIGIBLE
from tbar_ray.leaderboard.cell import Cell

REMOVED = 0.01
"""ASR up to which a backdoor counts as removed."""
KEPT_CA = 0.99
"""Share of the infected model's CA that has to be left."""
RESTORED_PA = 0.03
"""How far PA may lie below the clean model's, as a share, for the true answer to count as given back."""
Place = tuple[int, ...]
"""Cells are ordered by it, the best first; equal ones share a rank."""


@dataclass(frozen=True)
class Rule:
    """A rule.

    Attributes:
        name: of the ranking.
        text: what it says, in one sentence.
        place: of a cell; None where the cell lacks what the rule compares.
        whole: whether it ranks only attacks and seeds of which no measured cell lacks that: who removed nothing has
            nothing to measure, and must not be first of those that are left.
    """

    name: str
    text: str
    place: Callable[[Cell], Place | None]
    whole: bool = False


def is_removed(cell: Cell) -> bool:
    """Whether the backdoor is gone and CA is kept."""
    asr, lost = cell.value("asr"), cell.ca_lost
    return asr is not None and lost is not None and asr <= REMOVED and lost <= 1 - KEPT_CA + 1e-12


def is_restored(cell: Cell) -> bool:
    """Whether the backdoor is removed and triggered images get their true answer, nearly as from the clean model."""
    pa, wanted = cell.value("pa"), None if cell.clean is None else cell.clean.pa.value
    return is_removed(cell) and pa is not None and wanted is not None and pa >= wanted - RESTORED_PA - 1e-12


def as_cleaned(cell: Cell) -> Place | None:
    """First what is removed, by PA; then the others by ASR plus the share of CA lost; last what gave no model."""
    if cell.status in ("infeasible", "failed"):
        return (2,)
    asr, pa, lost = cell.value("asr"), cell.value("pa"), cell.ca_lost
    if cell.status != "done" or asr is None or pa is None or lost is None:
        return None
    return (0, -_points(pa)) if is_removed(cell) else (1, _points(asr + lost))


def after_tuning(cell: Cell) -> Place | None:
    """First ASR ≤ 10 %, by A_post plus the share of CA lost; then the others by ASR plus that; last no model."""
    if cell.status in ("infeasible", "failed"):
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
        "then the others by ASR plus that share; last, tied, methods that gave no model. In whole points. It is of the "
        "attacks and seeds of which A_post of every such cell is known.",
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
