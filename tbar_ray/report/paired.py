"""Paired tests: two methods, vectors or learning rates on the same test images of the same infected model."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from tbar_ray.naming import counted
from tbar_ray.planning.axes import Setting
from tbar_ray.records.cells import grouped, names_of, one_per_cell, preference, varying
from tbar_ray.records.record import TrialRecord
from tbar_ray.report.columns import columns_of, heads, parameters_joined, values
from tbar_ray.report.infected import is_parameter
from tbar_ray.report.predictions import compared, read_predictions
from tbar_ray.report.text import Markdown, points, section, share, table
from tbar_ray.store.store import Store

if TYPE_CHECKING:
    from tbar_ray.evaluation.paired import PairedComparison
    from tbar_ray.report.predictions import Arrays

APART = ("source", "method", "learning_rate", "parameters")
"""What a pair may differ in, all parameters of a method being one respect; all other settings are the same."""
NOTE = (
    "Exact McNemar tests on the same test images, of CA (right or wrong) and of ASR (the target or not, on triggered "
    "images of the other classes), between trials that differ in one respect alone. Difference: first less second in "
    "points, with Newcombe's 95% interval. Discordant: images on which only the first, and only the second, is right "
    "(CA) or answers with the target (ASR). p (Holm) is corrected over this table."
)


@dataclass(frozen=True)
class _Test:
    first: TrialRecord
    second: TrialRecord
    metric: str
    result: PairedComparison


def paired_tests(records: Sequence[TrialRecord], store: Store) -> Markdown:
    """The tests of all pairs, and how many could not be tested; '' if nothing can be paired.

    Raises:
        StoreError: if predictions that are in the store cannot be read.
    """
    from tbar_ray.evaluation.paired import holm

    measured = [r for r in one_per_cell(records) if r.value("ca") is not None]
    groups = grouped(measured, _same)
    pairs = [pair for group in groups.values() for pair in _pairs(group)]
    paired = {r.fingerprint: r for pair in pairs for r in pair}
    predictions = {fingerprint: read_predictions(r.path_artifact, store) for fingerprint, r in paired.items()}
    tests: list[_Test] = []
    untested = 0
    for first, second in pairs:
        found = _compared(first, second, predictions)
        tests += found
        untested += not found
    parts: list[str] = []
    if tests:
        parts.append(_rows(tests, holm([test.result.p_value for test in tests])))
    if untested:
        parts.append(
            f"{counted(untested, 'pair')} not tested: the store has no predictions of both on the same images."
        )
    return section("Paired tests", NOTE, "\n\n".join(parts))


MANY = 4
"""Methods, or learning rates or parameters, beyond which each is compared with the best one alone."""


def _pairs(group: Sequence[TrialRecord]) -> Iterator[tuple[TrialRecord, TrialRecord]]:
    """Pairs that differ in one respect; of vectors, each other model's with the model's own.

    Of many, the best on validation is compared with each of the others.
    """
    kinds = ({_what(r, name) for r in group} for name in APART[1:])
    best = min(group, key=preference) if any(len(kind) > MANY for kind in kinds) else None
    for first, second in combinations(group, 2):
        if best is not None and best is not first and best is not second:
            continue
        if second is best:
            first, second = second, first
        apart = [name for name in APART if _what(first, name) != _what(second, name)]
        if len(apart) != 1:
            continue
        if apart == ["source"]:
            if not second.transferred:
                first, second = second, first
            if first.transferred:
                continue
        yield first, second


def _is_apart(name: str) -> bool:
    return name in APART or is_parameter(name)


def _same(record: TrialRecord) -> tuple[tuple[str, Setting], ...]:
    return tuple((name, value) for name, value in sorted(record.settings.items()) if not _is_apart(name))


def _what(record: TrialRecord, name: str) -> Hashable:
    if name != "parameters":
        return record.setting(name)
    return tuple((n, v) for n, v in sorted(record.settings.items()) if n not in APART and is_parameter(n))


def _compared(first: TrialRecord, second: TrialRecord, predictions: dict[str, Arrays | None]) -> list[_Test]:
    """The tests of CA and ASR; none where predictions are missing or of other images."""
    found = compared(predictions[first.fingerprint], predictions[second.fingerprint])
    return [_Test(first, second, metric, result) for metric, result in found.items()]


def _rows(tests: Sequence[_Test], adjusted: Sequence[float]) -> Markdown:
    known = [record for test in tests for record in (test.first, test.second)]
    axes = columns_of(known, without=[name for name in names_of(known) if _is_apart(name)])
    apart = parameters_joined([factor for factor in varying(known) if _is_apart(factor.name)])
    head = ["attack", *heads(axes), "score", "first", "second", "of first", "of second", "of the clean model"]
    rows = []
    for test, p_holm in zip(tests, adjusted, strict=True):
        r = test.result
        rows.append(
            [
                test.first.attack,
                *values(test.first, axes),
                test.metric.upper(),
                *(", ".join(values(record, apart)) for record in (test.first, test.second)),
                share((r.both + r.only_first) / r.n),
                share((r.both + r.only_second) / r.n),
                share(test.first.value(test.metric, "clean")),
                points(r.difference, r.low, r.high),
                f"{r.only_first:,} / {r.only_second:,} of {r.n:,}",
                _p(r.p_value),
                _p(p_holm),
            ]
        )
    return table([*head, "difference", "discordant", "p", "p (Holm)"], rows)


def _p(value: float) -> str:
    return Markdown("< 0.0001") if value < 1e-4 else f"{value:.2g}"
