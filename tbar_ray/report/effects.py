"""What a factor of the ablation does, in sentences computed from the trials."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from statistics import fmean
from typing import Any

from tbar_ray.records.cells import Levels, cell_of, counted, fraction_levels, grouped, interval, size_levels

Record = dict[str, Any]
METRICS = ("asr", "ca")


def effect_sentences(records: Sequence[Record], factor: str) -> list[str]:
    """Return sentences on what `forget_size` or `clean_fraction` does to test ASR and CA.

    First the mean at each level over all other factors, then, because means of different cells mislead,
    the change between cells that differ in nothing else.

    Args:
        records: one per cell; only feasible trials with test scores count.
        factor: the field of a record that varies.
    """
    measured = [r for r in records if r["status"] == "done" and r.get("ca") is not None]
    levels = (size_levels if factor == "forget_size" else fraction_levels)(measured)
    if len(levels) == 0:
        return ["No feasible trial has test scores."]
    if len(levels) == 1:
        return [f"All feasible trials ({len(measured)}) are at {levels.labels[0]}: there is nothing to compare."]
    sentences = [_means(measured, factor, levels, metric) for metric in METRICS]
    low, high = levels.values[0], levels.values[-1]
    label: Callable[[float], str] = lambda v: f"{v:,.0f}" if factor == "forget_size" else f"{v * 100:.3g}%"  # noqa: E731
    pairs = _matched(measured, factor, low, high)
    if not pairs:
        sentences.append(
            f"No two feasible trials differ in this factor alone between {label(low)} and {label(high)}, "
            f"so the means above mix it with the other factors."
        )
        return sentences
    sentences += [_change(pairs, label(low), label(high), metric) for metric in METRICS]
    attacks = list(dict.fromkeys(a["attack"] for a, _ in pairs))
    if len(attacks) > 1:
        for attack in attacks:
            own = [pair for pair in pairs if pair[0]["attack"] == attack]
            asr, ca = (fmean(_differences(own, metric)) * 100 for metric in METRICS)
            sentences.append(f"For {attack} alone: ASR {asr:+.1f} points, CA {ca:+.1f} points ({_pairs(own)}).")
    if len(levels.values) > 2 and not levels.binned:
        sentences += [_steps(measured, factor, levels, label, metric) for metric in METRICS]
    return sentences


def _means(measured: Sequence[Record], factor: str, levels: Levels, metric: str) -> str:
    parts = []
    for index, label in enumerate(levels.labels):
        values = [r[metric] for r in measured if levels.index(r[factor]) == index]
        spread = f", {min(values):.1%} to {max(values):.1%}" if len(values) > 1 else ""
        parts.append(f"{fmean(values):.1%} at {label} ({counted(len(values), 'trial')}{spread})")
    return f"Mean test {metric.upper()}: {'; '.join(parts)}."


def _matched(measured: Sequence[Record], factor: str, low: float, high: float) -> list[tuple[Record, Record]]:
    """Return pairs of trials at two levels that agree in everything else."""
    pairs = []
    for group in grouped(measured, lambda r: cell_of(r, factor)).values():
        by_level = {r[factor]: r for r in group}
        if low in by_level and high in by_level:
            pairs.append((by_level[low], by_level[high]))
    return pairs


def _pairs(pairs: Sequence[tuple[Record, Record]]) -> str:
    return counted(len(pairs), "matched pair")


def _differences(pairs: Sequence[tuple[Record, Record]], metric: str) -> list[float]:
    return [after[metric] - before[metric] for before, after in pairs]


def _change(pairs: Sequence[tuple[Record, Record]], low: str, high: str, metric: str) -> str:
    changes = [change * 100 for change in _differences(pairs, metric)]
    up, down = sum(c > 0 for c in changes), sum(c < 0 for c in changes)
    apart = sum(_apart(before, after, metric) for before, after in pairs)
    count = f"{_pairs(pairs)} of trials"
    return (
        f"From {low} to {high}, all else equal, test {metric.upper()} changes by {fmean(changes):+.1f} points "
        f"on average over {count} (range {min(changes):+.1f} to {max(changes):+.1f}): "
        f"it rises in {up}, falls in {down} and stays in {len(pairs) - up - down}; "
        f"the 95% intervals do not overlap in {apart} of them."
    )


def _apart(before: Record, after: Record, metric: str) -> bool:
    first, second = interval(before, metric), interval(after, metric)
    return bool(first and second and (first[2] < second[1] or second[2] < first[1]))


def _steps(measured: Sequence[Record], factor: str, levels: Levels, label: Callable[[float], str], metric: str) -> str:
    parts = []
    for low, high in pairwise(levels.values):
        pairs = _matched(measured, factor, low, high)
        change = f"{fmean(_differences(pairs, metric)) * 100:+.1f}" if pairs else "no pair"
        parts.append(f"{label(low)} → {label(high)} {change}")
    return f"Step by step, change of test {metric.upper()} in points over matched pairs: {'; '.join(parts)}."
