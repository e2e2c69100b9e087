"""Grouping records: the panels, cells and levels that figures, tables and reports compare."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from math import log
from statistics import fmean
from typing import NamedTuple, TypeGuard, TypeVar

from tbar_ray.planning.axes import Factor, Setting, factors_of, order_of
from tbar_ray.records.record import TrialRecord
from tbar_ray.records.scores import PointRecord, RateRecord, Role, ScoresRecord

ItemT = TypeVar("ItemT")
KeyT = TypeVar("KeyT", bound=Hashable)
Interval = tuple[float, float, float]
"""A value with the ends of its interval."""
PANEL = ("attack", "source", "method")
"""Factors that tell panels apart; the others tell lines of a panel apart."""
OF_ATTACK = ("trigger", "target", "task", "planting", "merge")
"""Properties that an attack fixes and that tables may show."""


class Panel(NamedTuple):
    """The trials drawn together: one attack's infected model, whose trigger vector is applied to it, and the method."""

    attack: str
    source: str
    method: str


def panel_of(record: TrialRecord) -> Panel:
    """Attack, source and method of a record: trials that agree in these are drawn together."""
    return Panel(record.attack, record.source, record.method)


def panels_of(records: Iterable[TrialRecord]) -> list[Panel]:
    """Panels of some records, each once, in order of first appearance."""
    return list(dict.fromkeys(panel_of(r) for r in records))


def in_panel(records: Iterable[TrialRecord], panel: Panel) -> list[TrialRecord]:
    """Records of one panel, in the order given."""
    return [r for r in records if panel_of(r) == panel]


def panel_names(panels: Sequence[Panel], among: Sequence[Panel] = ()) -> list[str]:
    """What tells panels apart: the attack, with '← source' and '· method' where these vary, also `among` others."""
    moved = any(p.source != p.attack for p in (*panels, *among))
    methods = len({p.method for p in (*panels, *among)}) > 1
    return [f"{p.attack}{f' ← {p.source}' if moved else ''}{f' · {p.method}' if methods else ''}" for p in panels]


def value_of(record: TrialRecord, name: str) -> Setting:
    """Value of an axis, or of what an attack fixes (`OF_ATTACK`); None where the trial has none."""
    if name in OF_ATTACK:
        value: Setting = getattr(record, name)
        return value
    return record.setting(name)


def varies(records: Iterable[TrialRecord], name: str) -> bool:
    """Whether an axis tells records apart; the source does wherever a vector came from another attack's model."""
    if name == "source":
        return any(r.transferred for r in records)
    return len({value_of(r, name) for r in records}) > 1


def varies_within(records: Iterable[TrialRecord], name: str) -> bool:
    """Whether an axis varies for one of the attacks: their own poisoning rates distinguish no trials."""
    return any(varies(own, name) for own in grouped(records, lambda r: (r.attack,)).values())


def grouped(items: Iterable[ItemT], key: Callable[[ItemT], KeyT]) -> dict[KeyT, list[ItemT]]:
    """Items by key; keys in order of first appearance, items in the order given."""
    groups: dict[KeyT, list[ItemT]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def names_of(records: Iterable[TrialRecord]) -> list[str]:
    """Axes of some records, each once, in the order of tables."""
    return order_of(name for record in records for name in record.settings)


def varying(records: Sequence[TrialRecord], without: Sequence[str] = ("attack",)) -> list[Factor]:
    """Axes that tell trials of an attack apart, in the order of tables."""
    factors = factors_of(names_of(records))
    return [factor for name, factor in factors.items() if name not in without and varies_within(records, name)]


def cell_of(record: TrialRecord, without: str | None = None) -> tuple[tuple[str, Setting], ...]:
    """What identifies a record's cell, leaving out one axis if asked. α is not part of a cell."""
    return tuple((name, record.setting(name)) for name in order_of(record.settings) if name != without)


def interval(rate: RateRecord | None) -> Interval | None:
    """A rate and the ends of its interval, itself where it has none; None where it was not measured."""
    if rate is None or rate.value is None:
        return None
    return rate.value, rate.value if rate.low is None else rate.low, rate.value if rate.high is None else rate.high


def preference(record: TrialRecord) -> tuple[float, ...]:
    """A key by which the best record comes first: feasible, then least validation ASR, then most CA.

    Only validation scores count, so that a choice made with it does not spoil the test scores.
    """
    rank = {"done": 0, "infeasible": 1}.get(record.status, 2)
    point = record.selected_point
    return (rank, 0, point.asr, -point.ca) if point else (rank, 1, 0.0, 0.0)


def one_per_cell(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Best record of each cell: where a sampler searched α, trials of a cell differ in α only."""
    return [min(group, key=preference) for group in grouped(records, cell_of).values()]


def best_of_attacks(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """The best feasible record of each attack, by its validation scores."""
    done = [record for record in records if record.status == "done"]
    return [min(group, key=preference) for group in grouped(done, lambda record: (record.attack,)).values()]


@dataclass(frozen=True)
class Curve:
    """Validation scores along α of one cell, or of the mean of its seeds.

    `beside` has the scores with the other running statistics, nothing for models without such.
    """

    alphas: list[float]
    scores: dict[str, list[Interval]]
    selected: list[float]
    records: list[TrialRecord]
    beside: dict[str, list[Interval]] = field(default_factory=dict)

    def at(self, alpha: float, metric: str) -> float | None:
        """Value of a score at one α; None where the curve has no such α."""
        return self.scores[metric][self.alphas.index(alpha)][0] if alpha in self.alphas else None

    def setting(self, name: str) -> Setting:
        """Value of an axis that the records of the curve share: in a mean of seeds, any but the seed."""
        return self.records[0].setting(name)


def curves_of(records: Iterable[TrialRecord], metrics: Sequence[str], mean_of_seeds: bool) -> list[Curve]:
    """One curve per cell; trials of a single α each, which a sampler asked for, are joined into one.

    Args:
        records: trials of one panel; those without a path are skipped.
        metrics: the scores to read.
        mean_of_seeds: whether seeds share a curve: the mean of their values and of their interval ends.
    """
    with_path = [r for r in records if r.path]
    curves = []
    for group in grouped(with_path, lambda r: cell_of(r, "seed" if mean_of_seeds else None)).values():
        by_alpha: dict[float, list[PointRecord]] = {}
        for record in group:
            for point in record.path:
                by_alpha.setdefault(point.alpha, []).append(point)
        alphas = sorted(by_alpha)
        scores = {metric: [_mean([p.scores for p in by_alpha[a]], metric) for a in alphas] for metric in metrics}
        others = [[p.beside for p in by_alpha[a] if p.beside is not None] for a in alphas]
        beside = {metric: [_mean(found, metric) for found in others] for metric in metrics} if any(others) else {}
        picked = sorted({r.alpha for r in one_per_cell(group) if r.status == "done" and r.alpha is not None})
        curves.append(Curve(alphas, scores, picked, group, beside))
    return curves


def _mean(scores: Iterable[ScoresRecord], metric: str) -> Interval:
    found = [i for each in scores if (i := interval(each.rate(metric))) is not None]
    if not found:
        return (float("nan"),) * 3
    value, low, high = (fmean(column) for column in zip(*found, strict=True))
    return value, low, high


def reference(records: Iterable[TrialRecord], role: Role, metric: str) -> float | None:
    """Mean test value of the infected or the clean model; None if no record has it."""
    values = [value for r in records if (value := r.value(metric, role)) is not None]
    return fmean(values) if values else None


def infected_value(members: Sequence[TrialRecord], metric: str) -> float | None:
    """The infected model's validation value, that of α = 0; test where no path has it."""
    start = [i[0] for r in members for p in r.path if p.alpha == 0 and (i := interval(p.scores.rate(metric)))]
    if not start and metric == "ca":
        start = [r.reference_ca for r in members if r.reference_ca is not None]
    return fmean(start) if start else reference(members, "infected", metric)


def count_text(rates: Iterable[tuple[str, RateRecord | None]]) -> str:
    """'n = 1,200 (CA), 1,180 (ASR)' of named rates, with ranges where n differs; '' if none counts images."""
    counts: dict[str, set[int]] = {}
    for metric, rate in rates:
        if rate is not None and rate.n is not None:
            counts.setdefault(metric, set()).add(rate.n)
    parts: dict[str, list[str]] = {}
    for metric, found in counts.items():
        low, high = min(found), max(found)
        parts.setdefault(f"{low:,}" if low == high else f"{low:,}–{high:,}", []).append(metric.upper())
    if len(parts) == 1:
        return f"n = {next(iter(parts))} images"
    return "n = " + ", ".join(f"{number} ({', '.join(names)})" for number, names in parts.items()) if parts else ""


def counts_of_test(records: Iterable[TrialRecord], metrics: Sequence[str]) -> str:
    """Numbers of images behind the test scores after removal, written as by `count_text`."""
    records = list(records)
    return count_text((metric, record.rate(metric)) for metric in metrics for record in records)


def counts_of_validation(records: Iterable[TrialRecord], metrics: Sequence[str]) -> str:
    """Numbers of images behind the validation scores, written as by `count_text`."""
    points = [point for record in records for point in record.path]
    return count_text((metric, point.scores.rate(metric)) for metric in metrics for point in points)


class Levels:
    """The values of one axis among some records: numbers in their order, names as they appear.

    More than `most` numbers are put into `most` ranges, which grow by a factor where the numbers span more than one.

    Args:
        records: the trials.
        factor: the axis.
        most: number of levels that stay distinct.
    """

    def __init__(self, records: Iterable[TrialRecord], factor: Factor, most: int = 6) -> None:
        self.factor = factor
        found = list(dict.fromkeys(record.setting(factor.name) for record in records))
        numbers = sorted(value for value in found if _is_number(value))
        self.numeric = bool(found) and len(numbers) == len(found)
        self.values: list[Setting] = list(numbers) if self.numeric else found
        self.by_factor = self.numeric and numbers[0] > 0 and numbers[-1] / numbers[0] > 10
        self.binned = self.numeric and len(numbers) > most
        self.groups: list[list[Setting]] = self._bins(numbers, most) if self.binned else [[v] for v in self.values]
        self._index = {value: i for i, group in enumerate(self.groups) for value in group}
        ends = [(factor.form(group[0]), factor.form(group[-1])) for group in self.groups]
        self.labels = [first if first == last else f"{first}–{last}" for first, last in ends]

    def _bins(self, numbers: Sequence[float], most: int) -> list[list[Setting]]:
        scale: Callable[[float], float] = log if self.by_factor else float
        low, high = scale(numbers[0]), scale(numbers[-1])
        bins: list[list[Setting]] = [[] for _ in range(most)]
        for value in numbers:
            bins[min(most - 1, int((scale(value) - low) / (high - low) * most))].append(value)
        return [group for group in bins if group]

    def __len__(self) -> int:
        return len(self.groups)

    def index(self, value: Setting) -> int:
        """Position of the level that a value of the records belongs to, from 0."""
        return self._index[value]


def _is_number(value: Setting) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
