from __future__ import annotations

from tbar_ray.records.record import Cost
from tbar_ray.report.methods import methods_table
from tests.records.records import record
from tests.report.reading import rows_of


def test_what_a_method_cost_stands_beside_what_it_left() -> None:
    cost = Cost(
        data=7000, forget_images=6, clean_pairs=5, training_pairs=4, samples=3, steps=2, seconds=15, peak_memory=9000000
    )
    rows = rows_of(methods_table([record(cost=cost), record(method="finetune")], None))
    tbar = next(row for row in rows if "tbar" in row["method"])
    shown = [tbar[name].strip("*") for name in ("images", "seen", "seconds", "memory", "CA", "α")]
    assert shown == ["7,000", "3", "15", "9 MB", "82.1% [79.8, 84.1]", "0.6"]
    assert next(row for row in rows if "finetune" in row["method"])["images"].strip("*") == "–"
    assert methods_table([record(), record(size=3)], None) == ""
