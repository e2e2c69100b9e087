"""The effect of an axis of the ablation, in sentences computed from the trials."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean

from tbar_ray.naming import counted
from tbar_ray.planning.axes import Factor, Setting
from tbar_ray.records.cells import Levels, cell_of, grouped, interval
from tbar_ray.records.record import TrialRecord
from tbar_ray.report.text import points

METRICS = ("asr", "ca")
Pair = tuple[TrialRecord, TrialRecord]


def effect_sentences(records: Sequence[TrialRecord], factor: Factor) -> list[str]:
    """Sentences on the effect of an axis on test ASR and CA.

    First the mean at each level over all other axes, then, because means of different cells mislead, the change
    between cells that differ in nothing else: from the least to the greatest number, or from the first name to each
    of the others.

    Args:
        records: one per cell; only feasible trials that have the axis and test scores count.
        factor: the axis that varies.
    """
    measured = [
        r for r in records if r.status == "done" and factor.name in r.settings and None not in map(r.value, METRICS)
    ]
    levels = Levels(measured, factor)
    if len(levels) == 0:
        return ["No feasible trial has test scores."]
    if len(levels) == 1:
        return [f"All feasible trials ({len(measured)}) are at {levels.labels[0]}: there is nothing to compare."]
    sentences = [_means(measured, levels, metric) for metric in METRICS]
    if not levels.numeric:
        first, *others = levels.values
        return sentences + [line for other in others for line in _comparison(measured, factor, first, other)]
    sentences += _comparison(measured, factor, levels.values[0], levels.values[-1])
    if len(levels.values) > 2 and not levels.binned and _matched(measured, factor, levels.values[0], levels.values[-1]):
        sentences += [_steps(measured, levels, metric) for metric in METRICS]
    return sentences


def _comparison(measured: Sequence[TrialRecord], factor: Factor, low: Setting, high: Setting) -> list[str]:
    """Sentences on the change between two levels, over all attacks and for each of several."""
    first, second = factor.form(low), factor.form(high)
    pairs = _matched(measured, factor, low, high)
    if not pairs:
        return [
            f"No two feasible trials differ in this factor alone between {first} and {second}, "
            f"so the means above mix it with the other factors."
        ]
    sentences = [_change(pairs, first, second, metric) for metric in METRICS]
    by_attack = grouped(pairs, lambda pair: (pair[0].attack,))
    if len(by_attack) > 1:
        levels = "" if Levels(measured, factor).numeric else f", from {first} to {second}"
        for (attack,), own in by_attack.items():
            asr, ca = (points(fmean(_differences(own, metric))) for metric in METRICS)
            sentences.append(f"For {attack} alone{levels}: ASR {asr} points, CA {ca} points ({_pairs(own)}).")
    return sentences


def _means(measured: Sequence[TrialRecord], levels: Levels, metric: str) -> str:
    by_level = grouped(measured, lambda r: (levels.index(r.setting(levels.factor.name)),))
    parts = []
    for index, label in enumerate(levels.labels):
        values = [_value(r, metric) for r in by_level[index,]]
        spread = f", {min(values):.1%} to {max(values):.1%}" if len(values) > 1 else ""
        parts.append(f"{fmean(values):.1%} at {label} ({counted(len(values), 'trial')}{spread})")
    return f"Mean test {metric.upper()}: {'; '.join(parts)}."


def _value(record: TrialRecord, metric: str) -> float:
    value = record.value(metric)
    assert value is not None
    return value


def _matched(measured: Sequence[TrialRecord], factor: Factor, low: Setting, high: Setting) -> list[Pair]:
    """Pairs of trials at two levels that agree in everything else."""
    pairs = []
    for group in grouped(measured, lambda r: cell_of(r, factor.name)).values():
        by_level = {r.setting(factor.name): r for r in group}
        if low in by_level and high in by_level:
            pairs.append((by_level[low], by_level[high]))
    return pairs


def _pairs(pairs: Sequence[Pair]) -> str:
    return counted(len(pairs), "matched pair")


def _differences(pairs: Sequence[Pair], metric: str) -> list[float]:
    return [_value(after, metric) - _value(before, metric) for before, after in pairs]


def _change(pairs: Sequence[Pair], low: str, high: str, metric: str) -> str:
    changes = _differences(pairs, metric)
    up, down = sum(c > 0 for c in changes), sum(c < 0 for c in changes)
    apart = sum(_apart(before, after, metric) for before, after in pairs)
    count = f"{_pairs(pairs)} of trials"
    return (
        f"From {low} to {high}, all else equal, test {metric.upper()} changes by {points(fmean(changes))} points "
        f"on average over {count} (range {points(min(changes))} to {points(max(changes))}): "
        f"it rises in {up}, falls in {down} and stays in {len(pairs) - up - down}; "
        f"the 95% intervals do not overlap in {apart} of them."
    )


def _apart(before: TrialRecord, after: TrialRecord, metric: str) -> bool:
    first, second = interval(before.rate(metric)), interval(after.rate(metric))
    return bool(first and second and (first[2] < second[1] or second[2] < first[1]))


def _steps(measured: Sequence[TrialRecord], levels: Levels, metric: str) -> str:
    parts, form = [], levels.factor.form
    for low, high in pairwise(levels.values):
        pairs = _matched(measured, levels.factor, low, high)
        change = points(fmean(_differences(pairs, metric))) if pairs else "no pair"
        parts.append(f"{form(low)} → {form(high)} {change}")
    return f"Step by step, change of test {metric.upper()} in points over matched pairs: {'; '.join(parts)}."
