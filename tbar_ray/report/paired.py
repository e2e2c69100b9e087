"""Paired tests: two methods, vectors or learning rates on the same test images of the same infected model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from tbar_ray.errors import StoreError
from tbar_ray.records.cells import CELL, counted, grouped, one_per_cell, preference, source_of
from tbar_ray.report.text import Record, factors, heads, section, share, table, values
from tbar_ray.store.store import Store

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tbar_ray.evaluation.paired import PairedComparison

    Arrays = dict[str, NDArray[np.int64]]

SAME = ("attack", "seed", "poisoning_rate", "forget_size", "clean_fraction")
APART = tuple(name for name in CELL if name not in SAME)
"""Method, source of the vector, learning rate: what a pair may differ in."""
NOTE = (
    "Exact McNemar tests on the same test images, of CA (right or wrong) and of ASR (the target or not, on triggered "
    "images of the other classes), between trials that differ in one respect alone. Difference: first less second in "
    "points, with Newcombe's 95% interval. Discordant: images on which only the first, and only the second, is right "
    "(CA) or answers with the target (ASR). p (Holm) is corrected over this table."
)


@dataclass(frozen=True)
class _Test:
    first: Record
    second: Record
    metric: str
    result: PairedComparison


def paired_tests(records: Sequence[Record], store: Store) -> str:
    """Return the tests of all pairs, and how many could not be tested; '' if nothing can be paired.

    Raises:
        StoreError: if predictions that are in the store cannot be read.
    """
    from tbar_ray.evaluation.paired import holm

    measured = [r for r in one_per_cell(records) if r.get("ca") is not None]
    groups = grouped(measured, lambda r: tuple(r.get(name) for name in SAME))
    pairs = [pair for group in groups.values() for pair in _pairs(group)]
    paired = {r["fingerprint"]: r for pair in pairs for r in pair}
    predictions = {fingerprint: _predictions(r, store) for fingerprint, r in paired.items()}
    tests: list[_Test] = []
    untested = 0
    for first, second in pairs:
        found = _compared(first, second, predictions)
        tests += found
        untested += not found
    parts = []
    if tests:
        parts.append(_rows(tests, holm([test.result.p_value for test in tests])))
    if untested:
        parts.append(
            f"{counted(untested, 'pair')} not tested: the store has no predictions of both on the same images."
        )
    return section("Paired tests", NOTE, "\n\n".join(parts))


MANY = 4
"""Methods, or learning rates or parameters, beyond which each is compared with the best one alone."""


def _pairs(group: Sequence[Record]) -> Iterator[tuple[Record, Record]]:
    """Return pairs that differ in one respect; of vectors, each other model's with the model's own.

    Of many, the best on validation is compared with each of the others.
    """
    kinds = ({_what(r, name) for r in group} for name in APART if name != "source")
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
            if source_of(second) == second["attack"]:
                first, second = second, first
            if source_of(first) != first["attack"]:
                continue
        yield first, second


def _what(record: Record, name: str) -> object:
    return source_of(record) if name == "source" else record.get(name)


def _predictions(record: Record, store: Store) -> Arrays | None:
    """Return what the model answered after removal; None where the store does not have it, or without its target."""
    import numpy as np

    from tbar_ray.stages.evaluate import PREDICTIONS

    artifact = f"path-{record['fingerprint']}"
    if not store.has(artifact) or not (file := store.fetch(artifact) / PREDICTIONS).exists():
        return None
    try:
        with np.load(file, allow_pickle=False) as content:
            arrays = {name: content[name] for name in content.files}
    except (OSError, ValueError) as error:
        raise StoreError(f"store {store.url}: {artifact}/{PREDICTIONS} cannot be read: {error}") from None
    return arrays if {"labels", "clean", "triggered", "target"} <= set(arrays) else None


def _compared(first: Record, second: Record, predictions: dict[str, Arrays | None]) -> list[_Test]:
    """Return the tests of CA and ASR; none where predictions are missing or of other images."""
    import numpy as np

    from tbar_ray.evaluation.paired import compare

    one, two = (predictions[r["fingerprint"]] for r in (first, second))
    if one is None or two is None:
        return []
    if not (np.array_equal(one["labels"], two["labels"]) and np.array_equal(one["target"], two["target"])):
        return []
    labels, target = one["labels"], int(one["target"])
    others = labels != target
    outcomes = {
        "ca": [arrays["clean"] == labels for arrays in (one, two)],
        "asr": [arrays["triggered"][others] == target for arrays in (one, two)],
    }
    return [_Test(first, second, metric, compare(*pair)) for metric, pair in outcomes.items()]


def _rows(tests: Sequence[_Test], adjusted: Sequence[float]) -> str:
    known = [record for test in tests for record in (test.first, test.second)]
    names = [name for name in factors(known) if name not in APART]
    apart = [name for name in factors(known, always=()) if name in APART]
    head = ["attack", *heads(names), "score", "first", "second", "of first", "of second", "of the clean model"]
    rows = []
    for test, p_holm in zip(tests, adjusted, strict=True):
        r = test.result
        rows.append(
            [
                test.first["attack"],
                *values(test.first, names),
                test.metric.upper(),
                *(", ".join(values(record, apart)) for record in (test.first, test.second)),
                share((r.both + r.only_first) / r.n),
                share((r.both + r.only_second) / r.n),
                share(test.first.get(f"{test.metric}_clean")),
                f"{r.difference * 100:+.1f} [{r.low * 100:+.1f}, {r.high * 100:+.1f}]",
                f"{r.only_first:,} / {r.only_second:,} of {r.n:,}",
                _p(r.p_value),
                _p(p_holm),
            ]
        )
    return table([*head, "difference", "discordant", "p", "p (Holm)"], rows)


def _p(value: float) -> str:
    return "< 0.0001" if value < 1e-4 else f"{value:.2g}"
