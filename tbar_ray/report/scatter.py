"""The map of a page: every trial as a point one can hover over, CA against ASR."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import log10

from tbar_ray.records.cells import reference
from tbar_ray.records.names import run_name
from tbar_ray.records.record import TrialRecord
from tbar_ray.report.figures.style import RARE, RARE_TICKS, attack_look
from tbar_ray.report.result_cells import key_of
from tbar_ray.report.text import share

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 860, 400, 64, 44, 30, 22
STRIP = 70
"""Room left of an ASR of 0, where no result can be: marks of equal results stand side by side in it."""
APART, BAND = 9.0, 14.0
"""How far apart two such marks are, and how far many may go from another ASR."""
LEAST_CA = 0.1
"""CA that the map spans at least."""


SHAPES = {
    "o": "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0z",
    "s": "M-4.5-4.5h9v9h-9z",
    "^": "M0-5.5l5.5 9.5h-11z",
    "D": "M0-6l6 6-6 6-6-6z",
}
"""The figures' markers as paths of SVG around the origin."""


@dataclass(frozen=True)
class Look:
    """An attack's mark, as in the figures: its colour, and its shape as a path around the origin."""

    colour: str
    shape: str


@dataclass(frozen=True)
class Point:
    """A trial on the map, in the units of its view box."""

    x: float
    y: float
    look: Look
    hollow: bool
    key: str
    hint: str


@dataclass(frozen=True)
class Tick:
    """A value of an axis and its place."""

    place: float
    text: str


@dataclass(frozen=True)
class Map:
    """What a template draws; sizes are those of the SVG's view box."""

    points: tuple[Point, ...]
    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    keys: tuple[tuple[str, Look], ...]
    """Attacks and their marks."""
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    bottom: int = HEIGHT - BOTTOM
    top: int = TOP
    right: int = WIDTH - RIGHT


def result_map(records: Sequence[TrialRecord]) -> Map | None:
    """Place every trial with test scores; None if there is none."""
    from matplotlib.ticker import MaxNLocator

    shown = [r for r in records if r.value("asr") is not None and r.value("ca") is not None]
    if not shown:
        return None
    attacks = [r.attack for r in records]  # as in the figures, those without scores too
    looks = {name: _look(name, attacks) for name in sorted({r.attack for r in shown})}
    cas = [value for r in shown if (value := r.value("ca")) is not None]
    infected = reference(shown, "infected", "ca")
    high = min(1.0, max([*cas, *([] if infected is None else [infected])]) + 0.005)
    low = max(0.0, min([*cas, high - LEAST_CA]) - 0.005)

    def up(ca: float) -> float:
        return round(HEIGHT - BOTTOM - (ca - low) / (high - low) * (HEIGHT - BOTTOM - TOP), 1)

    taken: Counter[tuple[int, int]] = Counter()
    points = [
        Point(
            _beside(across(r.value("asr") or 0.0), up(r.value("ca") or 0.0), taken),
            up(r.value("ca") or 0.0),
            looks[r.attack],
            r.status != "done",
            key_of(r),
            f"{run_name(r)} — test split: ASR {share(r.value('asr'))}, CA {share(r.value('ca'))} ({r.status})",
        )
        for r in shown
    ]
    steps = [value for value in MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high) if low <= value <= high]
    return Map(
        tuple(points),
        tuple(Tick(across(value), f"{value * 100:g}%") for value in RARE_TICKS),
        tuple(Tick(up(value), f"{value * 100:.4g}%") for value in steps),
        tuple(looks.items()),
    )


def _look(attack: str, attacks: Sequence[str]) -> Look:
    look = attack_look(attack, attacks)
    return Look(look["color"], SHAPES[look["marker"]])


def across(asr: float) -> float:
    """Place of an ASR: linear up to `RARE`, then by its logarithm, as in the figures."""
    decades = 0.8 * asr / RARE if asr <= RARE else 0.8 + log10(asr / RARE)
    zero = LEFT + STRIP
    return round(zero + decades / (0.8 - log10(RARE)) * (WIDTH - zero - RIGHT), 1)


def _beside(x: float, y: float, taken: Counter[tuple[int, int]]) -> float:
    """Where a mark goes across: to the left of those that are there, the closer the more there are."""
    place = round(x / APART), round(y / APART)
    count, room = taken[place], STRIP - APART if x <= LEFT + STRIP else BAND
    taken[place] += 1
    return round(x - room * count / (count + room / APART), 1)
