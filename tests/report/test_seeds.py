from __future__ import annotations

import pytest

from tbar_ray.report.seeds import across_seeds
from tests.records.records import epochs_grid, failed, grid, infeasible, record, scores
from tests.report.reading import rows_of


def parts(cell: str) -> tuple[float, float, float]:
    """The mean and its interval as a cell has them."""
    mean, _, interval = cell.partition(" ")
    low, high = interval.strip("[]").split(", ")
    return float(mean.rstrip("%")), float(low), float(high)


def test_every_score_has_its_mean_and_interval_over_seeds() -> None:
    records = [
        record(seed=seed, removed=scores(ca, 0.1 + ca / 5, 0.4), clean=scores(0.8, ca / 10, 0.7))
        for seed, ca in enumerate((0.5, 0.6, 0.7))
    ]
    (row,) = rows_of(across_seeds(records))
    assert row["attack"] == "badnets"
    assert row["seeds"] == "3"
    mean, low, high = parts(row["CA"])
    assert mean == pytest.approx(60)
    # percentile interval of the mean of three: 26 of 27 draws hold more than one value, so the ends lie inside
    assert 50 <= low < 54
    assert 66 < high <= 70
    assert parts(row["clean model's ASR"])[0] == pytest.approx(6, abs=0.05)
    assert parts(row["ASR"])[0] == pytest.approx(22, abs=0.1)
    assert parts(row["PA"])[0] == pytest.approx(40, abs=0.05)
    infected = records[0].value("ca", "infected")
    assert infected is not None
    assert parts(row["retention"])[0] == pytest.approx(60 / infected, abs=0.1)


def test_seeds_without_a_result_are_counted_but_not_averaged() -> None:
    records = [
        record(seed=0, removed=scores(0.5, 0, 0)), record(seed=1, removed=scores(0.7, 0, 0)), failed(seed=2),
        infeasible(seed=3),
    ]  # fmt: skip
    (row,) = rows_of(across_seeds(records))
    assert row["seeds"] == "2 of 4"
    assert parts(row["CA"])[0] == pytest.approx(60)


def test_cells_are_kept_apart() -> None:
    rows = rows_of(across_seeds([*grid(seed=0), *grid(seed=1)]))
    assert len(rows) == 8
    assert {(row["attack"], row["forget set"], row["clean"]) for row in rows} == {
        (attack, size, clean) for attack in ("badnets", "blended") for size in ("20", "300") for clean in ("0%", "50%")
    }
    methods = rows_of(across_seeds([record(seed=s, method=m) for s in (0, 1) for m in ("tbar", "finetune")]))
    assert [row["method"] for row in methods] == ["tbar", "finetune"]
    epochs = rows_of(across_seeds([made for seed in (0, 1) for made in epochs_grid(seed=seed)]))
    assert [(row["attack"], row["epochs"], row["seeds"]) for row in epochs] == [
        ("badnets", "1", "2"), ("badnets", "3", "2"), ("blended", "1", "2"), ("blended", "3", "2"),
    ]  # fmt: skip


def test_single_seeds_have_no_section() -> None:
    assert across_seeds([*grid(), record(seed=1, size=7)]) == ""
    assert across_seeds([]) == ""
