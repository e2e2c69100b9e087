"""Statistics over trials: means over seeds with their intervals, and paired tests between methods."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING

from tbar_ray.campaign.figures.cells import cell_of, grouped, one_per_cell
from tbar_ray.campaign.report.text import Record, table
from tbar_ray.campaign.store import Store

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tbar_ray.evaluation.bootstrap import Aggregate
    from tbar_ray.evaluation.paired import PairedComparison

METRICS = (("ca", "CA"), ("asr", "ASR"), ("pa", "PA"), ("ca_retention", "CA kept"))


def across_seeds(records: Sequence[Record]) -> str:
    """Return the mean of every cell over its seeds with a bootstrap interval; '' without several seeds."""
    from tbar_ray.evaluation.bootstrap import aggregate

    done = [r for r in one_per_cell(records) if r["status"] == "done"]
    rows = []
    for group in grouped(done, lambda r: cell_of(r, "seed")).values():
        if len({r["seed"] for r in group}) < 2:
            continue
        first = group[0]
        values = [_mean(aggregate([r[metric] for r in group if r.get(metric) is not None])) for metric, _ in METRICS]
        cell = [first["attack"], _method(first), f"{first['forget_size']:,}", f"{first['clean_fraction']:.0%}"]
        rows.append([*cell, str(len(group)), *values])
    if not rows:
        return ""
    head = ["attack", "method", "forget set", "clean", "seeds", *(name for _, name in METRICS)]
    note = (
        "Mean over seeds with the 95% percentile bootstrap interval. Of few seeds it is too narrow: three cover the "
        "mean in about 75 % of cases. Failed and infeasible seeds are left out, see below."
    )
    return f"## Across seeds\n\n{note}\n\n{table(head, rows)}"


def paired_tests(records: Sequence[Record], store: Store) -> str:
    """Return exact McNemar tests between methods (or vectors) on the same test images; '' if none can be paired."""
    from tbar_ray.evaluation.paired import compare, holm

    chosen = [r for r in one_per_cell(records) if r.get("ca") is not None]
    pairs: list[tuple[Record, Record, str, PairedComparison]] = []
    same = ("attack", "forget_size", "clean_fraction", "poisoning_rate", "seed")
    for group in grouped(chosen, lambda r: tuple(r.get(name) for name in same)).values():
        for first, second in combinations(group, 2):
            for name, left, right in _outcomes(first, second, store):
                pairs.append((first, second, name, compare(left, right)))
    if not pairs:
        return ""
    adjusted = holm([result.p_value for *_, result in pairs])
    rows = [
        [
            first["attack"],
            str(first["seed"]),
            name,
            _method(first),
            _method(second),
            f"{result.difference * 100:+.1f} [{result.low * 100:+.1f}, {result.high * 100:+.1f}]",
            f"{result.only_first} / {result.only_second}",
            f"{result.p_value:.2g}",
            f"{p:.2g}",
        ]
        for (first, second, name, result), p in zip(pairs, adjusted, strict=True)
    ]
    head = ["attack", "seed", "score", "first", "second", "difference (points)", "only first / second", "p", "p (Holm)"]
    note = (
        "The same test images under two removals: difference of the shares with Newcombe's 95% interval, images on "
        "which only one succeeds, and McNemar's exact p, alone and corrected over this table."
    )
    return f"## Paired tests\n\n{note}\n\n{table(head, rows)}"


def _method(record: Record) -> str:
    source = record.get("source")
    rate = record.get("learning_rate")
    parts = [record["method"], f"vector of {source}" if source else "", f"lr {rate:g}" if rate else ""]
    return ", ".join(part for part in parts if part)


def _mean(found: Aggregate) -> str:
    if found.low is None or found.high is None:
        return f"{found.mean:.1%}"
    return f"{found.mean:.1%} [{found.low * 100:.1f}, {found.high * 100:.1f}]"


def _outcomes(first: Record, second: Record, store: Store) -> list[tuple[str, NDArray[np.bool_], NDArray[np.bool_]]]:
    """Return for CA and ASR what either removal did to every image; nothing where predictions are not kept."""
    import numpy as np

    from tbar_ray.campaign.stages.evaluate import PREDICTIONS

    arrays = []
    for record in (first, second):
        artifact = f"path-{record['fingerprint']}"
        if not store.has(artifact) or not (file := store.fetch(artifact) / PREDICTIONS).exists():
            return []
        with np.load(file, allow_pickle=False) as content:
            arrays.append({name: content[name] for name in ("labels", "clean", "triggered", "target")})
    left, right = arrays
    if not np.array_equal(left["labels"], right["labels"]):
        return []
    target = int(left["target"])
    others = left["labels"] != target
    return [
        ("CA", left["clean"] == left["labels"], right["clean"] == right["labels"]),
        ("ASR", left["triggered"][others] == target, right["triggered"][others] == target),
    ]
