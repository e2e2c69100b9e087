"""What comes back of a method's removals while the cleaned models are fine-tuned on clean pairs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from tbar_ray.leaderboard.cell import Cell


@dataclass(frozen=True)
class Comeback:
    """A method's cells with an ASR of at most 10 % as cleaned whose models were fine-tuned. Rates are shares.

    Attributes:
        count: how many.
        asr: median ASR as cleaned.
        highest: median A_post, the highest ASR of each.
        worst: the highest A_post of all.
        attack, seed: of the worst.
        ca: the least of the infected model's CA that is left after the last step, as a share.
    """

    count: int
    asr: float
    highest: float
    worst: float
    attack: str
    seed: int
    ca: float | None


def comeback(cells: Iterable[Cell]) -> Comeback | None:
    """What comes back of some cells of one method; None if none of them was followed."""
    found: list[tuple[float, float, Cell]] = []
    kept: list[float] = []
    for cell in cells:
        asr = cell.value("asr")
        if cell.after is None or asr is None or not cell.can_come_back or cell.after.highest.value is None:
            continue
        found.append((cell.after.highest.value, asr, cell))
        before = None if cell.infected is None else cell.infected.ca.value
        if before and cell.after.ca.value is not None:
            kept.append(cell.after.ca.value / before)
    if not found:
        return None
    worst, _, where = max(found, key=lambda each: each[0])
    return Comeback(
        count=len(found),
        asr=median(asr for _, asr, _ in found),
        highest=median(highest for highest, _, _ in found),
        worst=worst,
        attack=where.attack,
        seed=where.seed,
        ca=min(kept, default=None),
    )
