"""Results over several seeds: means with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tbar_ray.records.cells import cell_of, grouped, one_per_cell
from tbar_ray.records.record import TrialRecord
from tbar_ray.records.scores import Role
from tbar_ray.report.columns import columns_of, heads, values
from tbar_ray.report.text import Markdown, section, table, with_interval

METRICS: Mapping[str, tuple[str, Role]] = {
    "CA": ("ca", "removed"), "ASR": ("asr", "removed"), "clean model's ASR": ("asr", "clean"), "PA": ("pa", "removed"),
    "retention": ("ca_retention", "removed"),
}  # fmt: skip
NOTE = (
    "Means over seeds with 95% percentile bootstrap intervals. Of few seeds these are too narrow: in simulation they "
    "cover the true mean of two normal values in 51%, of three in 75%, of five in 85% of cases. Seeds that failed or "
    "are infeasible are counted, but not in the means."
)


def across_seeds(records: Sequence[TrialRecord]) -> Markdown:
    """Mean of every cell that several seeds have results of; '' if there is none."""
    from tbar_ray.evaluation.bootstrap import aggregate

    rows = []
    chosen = one_per_cell(records)
    axes = columns_of(chosen, without=("seed",))
    for group in grouped(chosen, lambda r: cell_of(r, "seed")).values():
        done = [r for r in group if r.status == "done"]
        if len(done) < 2:
            continue
        row = [group[0].attack, *values(group[0], axes)]
        row.append(str(len(done)) if len(done) == len(group) else f"{len(done)} of {len(group)}")
        for metric, role in METRICS.values():
            known = [value for r in done if (value := r.value(metric, role)) is not None]
            found = aggregate(known) if known else None
            row.append(with_interval(found.mean, found.low, found.high) if found else "–")
        rows.append(row)
    head = ["attack", *heads(axes), "seeds", *METRICS]
    return section("Across seeds", NOTE, table(head, rows) if rows else "")
