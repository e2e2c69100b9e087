"""Reading records together: the panels, cells and levels that figures, tables and reports compare."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import log
from statistics import fmean
from typing import Any, NamedTuple

Record = dict[str, Any]
Interval = tuple[float, float, float]
"""A value with the ends of its interval."""

CELL = ("attack", "source", "method", "forget_size", "clean_fraction", "poisoning_rate", "seed", "learning_rate",
        "parameters")  # fmt: skip
"""What tells trials apart, without α."""


class Panel(NamedTuple):
    """What is drawn together: one attack's infected model, whose trigger vector is applied to it, and the method."""

    attack: str
    source: str
    method: str


def source_of(record: Record) -> str:
    """Return the attack whose vector was applied; where a record says none, its own."""
    return str(record.get("source") or record["attack"])


def panel_of(record: Record) -> Panel:
    """Return the panel that a record belongs to."""
    return Panel(record["attack"], source_of(record), record["method"])


def panels_of(records: Iterable[Record]) -> list[Panel]:
    """Return the panels, in order of first appearance."""
    return list(dict.fromkeys(panel_of(r) for r in records))


def in_panel(records: Iterable[Record], panel: Panel) -> list[Record]:
    """Return the records of one panel."""
    return [r for r in records if panel_of(r) == panel]


def panel_names(panels: Sequence[Panel]) -> list[str]:
    """Return what tells panels apart: the attack, with '← source' and '· method' where these vary."""
    moved = any(p.source != p.attack for p in panels)
    methods = len({p.method for p in panels}) > 1
    return [f"{p.attack}{f' ← {p.source}' if moved else ''}{f' · {p.method}' if methods else ''}" for p in panels]


def varies(records: Iterable[Record], name: str) -> bool:
    """Whether a field tells records apart; the source does wherever a vector came from another attack's model."""
    if name == "source":
        return any(source_of(r) != r["attack"] for r in records)
    return len({r.get(name) for r in records}) > 1


def grouped(records: Iterable[Record], key: Callable[[Record], tuple[Any, ...]]) -> dict[tuple[Any, ...], list[Record]]:
    """Return records by key, in order of first appearance."""
    groups: dict[tuple[Any, ...], list[Record]] = {}
    for record in records:
        groups.setdefault(key(record), []).append(record)
    return groups


def varies_within(records: Iterable[Record], name: str) -> bool:
    """Whether a field varies for one of the attacks: they may have poisoning rates of their own, which tell nothing."""
    return any(varies(own, name) for own in grouped(records, lambda r: (r["attack"],)).values())


def cell_of(record: Record, without: str | None = None) -> tuple[Any, ...]:
    """Return what tells a record's cell from others, leaving out one factor if asked."""
    return tuple(record.get(name) for name in CELL if name != without)


def interval(row: Record, metric: str) -> Interval | None:
    """Return a metric with its interval; None where it was not measured."""
    value = row.get(metric)
    if value is None:
        return None
    low, high = row.get(f"{metric}_low"), row.get(f"{metric}_high")
    return float(value), float(value if low is None else low), float(value if high is None else high)


def validation_point(record: Record) -> Record | None:
    """Return the validation scores at a record's selected α."""
    points: list[Record] = record.get("path") or []
    return next((p for p in points if p["alpha"] == record.get("alpha")), None)


def preference(record: Record) -> tuple[Any, ...]:
    """Return a key by which the best record comes first: feasible, then least validation ASR, then most CA.

    Only validation scores count, so that a choice made with it does not spoil the test scores.
    """
    rank = {"done": 0, "infeasible": 1}.get(record["status"], 2)
    point = validation_point(record)
    return (rank, 0, point["asr"], -point["ca"]) if point else (rank, 1, 0.0, 0.0)


def one_per_cell(records: Iterable[Record]) -> list[Record]:
    """Return the best record of each cell: where a sampler searched α, trials of a cell differ in α only."""
    return [min(group, key=preference) for group in grouped(records, cell_of).values()]


@dataclass(frozen=True)
class Curve:
    """Validation scores along α of one cell, or of the mean of its seeds."""

    forget_size: int
    clean_fraction: float
    alphas: list[float]
    scores: dict[str, list[Interval]]
    selected: list[float]
    records: list[Record]

    def at(self, alpha: float, metric: str) -> float | None:
        """Return the value at one α."""
        return self.scores[metric][self.alphas.index(alpha)][0] if alpha in self.alphas else None


def curves_of(records: Iterable[Record], metrics: Sequence[str], mean_of_seeds: bool) -> list[Curve]:
    """Return one curve per cell; trials of a single α each, which a sampler asked for, are joined into one.

    Args:
        records: trials of one panel; those without a path are passed over.
        metrics: the scores to read.
        mean_of_seeds: whether seeds share a curve: the mean of their values and of their interval ends.
    """
    with_path = [r for r in records if r.get("path")]
    curves = []
    for group in grouped(with_path, lambda r: cell_of(r, "seed" if mean_of_seeds else None)).values():
        by_alpha: dict[float, list[Record]] = {}
        for record in group:
            for point in record["path"]:
                by_alpha.setdefault(point["alpha"], []).append(point)
        alphas = sorted(by_alpha)
        scores = {metric: [_mean(by_alpha[alpha], metric) for alpha in alphas] for metric in metrics}
        picked = sorted({r["alpha"] for r in one_per_cell(group) if r["status"] == "done"})
        first = group[0]
        curves.append(Curve(first["forget_size"], first["clean_fraction"], alphas, scores, picked, group))
    return curves


def _mean(points: Iterable[Record], metric: str) -> Interval:
    found = [i for p in points if (i := interval(p, metric)) is not None]
    if not found:
        return (float("nan"),) * 3
    value, low, high = (fmean(column) for column in zip(*found, strict=True))
    return value, low, high


def reference(records: Iterable[Record], role: str, metric: str) -> float | None:
    """Return the mean test value of the infected or the clean model; None if no record has it."""
    values = [r[f"{metric}_{role}"] for r in records if r.get(f"{metric}_{role}") is not None]
    return fmean(values) if values else None


def infected_value(members: Sequence[Record], metric: str) -> float | None:
    """Return the infected model's validation value, that of α = 0; test where no path has it."""
    start = [p[metric] for r in members for p in r["path"] if p["alpha"] == 0 and p.get(metric) is not None]
    if not start and metric == "ca":
        start = [r["reference_ca"] for r in members if r.get("reference_ca") is not None]
    return fmean(start) if start else reference(members, "infected", metric)


def count_text(rows: Iterable[Record], metrics: Sequence[str]) -> str:
    """Return 'n = 1,200 (CA), 1,180 (ASR)', with ranges where rows differ; '' if no row counts images."""
    rows = list(rows)
    parts: dict[str, list[str]] = {}
    for metric in metrics:
        found = {r[f"{metric}_n"] for r in rows if r.get(f"{metric}_n") is not None}
        if found:
            low, high = min(found), max(found)
            parts.setdefault(f"{low:,}" if low == high else f"{low:,}–{high:,}", []).append(metric.upper())
    if len(parts) == 1:
        return f"n = {next(iter(parts))} images"
    return "n = " + ", ".join(f"{number} ({', '.join(names)})" for number, names in parts.items()) if parts else ""


def counted(number: int, noun: str) -> str:
    """Return '1 trial' or '2 trials'."""
    return f"{number} {noun}" if number == 1 else f"{number:,} {noun}s"


class Levels:
    """The values of one factor; more than `most` of them are put into `most` ranges.

    Args:
        values: the factor's values, repeated or not.
        form: how a value is written.
        most: number of levels that stay distinct.
        by_factor: ranges grow by a factor, not by a step.
    """

    def __init__(self, values: Iterable[float], form: Callable[[float], str], most: int, by_factor: bool = False):
        self.values = sorted(set(values))
        self._scale: Callable[[float], float] = log if by_factor and self.values and self.values[0] > 0 else float
        self.binned = len(self.values) > most
        if not self.binned:
            self.groups = [[value] for value in self.values]
        else:
            low, high = self._scale(self.values[0]), self._scale(self.values[-1])
            bins: list[list[float]] = [[] for _ in range(most)]
            for value in self.values:
                bins[min(most - 1, int((self._scale(value) - low) / (high - low) * most))].append(value)
            self.groups = [group for group in bins if group]
        self._index = {value: i for i, group in enumerate(self.groups) for value in group}
        self.labels = [form(g[0]) if len(g) == 1 else f"{form(g[0])}–{form(g[-1])}" for g in self.groups]

    def __len__(self) -> int:
        return len(self.groups)

    def index(self, value: float) -> int:
        """Return the position of the level that a value belongs to."""
        return self._index[value]


def size_levels(records: Iterable[Record], most: int = 6) -> Levels:
    """Return the levels of forget-set size."""
    return Levels((r["forget_size"] for r in records), lambda v: f"{v:,.0f}", most, by_factor=True)


def fraction_levels(records: Iterable[Record], most: int = 4) -> Levels:
    """Return the levels of the forget set's clean fraction."""
    return Levels((r["clean_fraction"] for r in records), lambda v: f"{v * 100:.3g}%", most)
