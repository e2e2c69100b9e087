"""Results over several seeds: means with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Sequence

from tbar_ray.records.cells import cell_of, grouped, one_per_cell
from tbar_ray.report.text import Record, factors, heads, section, table, values, with_interval

METRICS = {
    "ca": "CA", "asr": "ASR", "asr_clean": "clean model's ASR", "pa": "PA", "ca_retention": "retention",
}  # fmt: skip
NOTE = (
    "Means over seeds with 95% percentile bootstrap intervals. Of few seeds these are too narrow: in simulation they "
    "cover the true mean of two normal values in 51%, of three in 75%, of five in 85% of cases. Seeds that failed or "
    "are infeasible are counted, but not in the means."
)


def across_seeds(records: Sequence[Record]) -> str:
    """Return the mean of every cell that several seeds have results of; '' if there is none."""
    from tbar_ray.evaluation.bootstrap import aggregate

    rows = []
    chosen = one_per_cell(records)
    names = [name for name in factors(chosen) if name != "seed"]
    for group in grouped(chosen, lambda r: cell_of(r, "seed")).values():
        done = [r for r in group if r["status"] == "done"]
        if len(done) < 2:
            continue
        row = [group[0]["attack"], *values(group[0], names)]
        row.append(str(len(done)) if len(done) == len(group) else f"{len(done)} of {len(group)}")
        for metric in METRICS:
            known = [r[metric] for r in done if r.get(metric) is not None]
            found = aggregate(known) if known else None
            row.append(with_interval(found.mean, found.low, found.high) if found else "–")
        rows.append(row)
    head = ["attack", *heads(names), "seeds", *METRICS.values()]
    return section("Across seeds", NOTE, table(head, rows) if rows else "")
