from __future__ import annotations

import io

import pytest
from rich.console import Console

from tbar_ray.campaign.tables import result_table
from tests.campaign.records import Record, failed, grid, infeasible, record


def shown(records: list[Record], width: int = 100) -> str:
    out = io.StringIO()
    Console(file=out, width=width).print(result_table(records))
    return out.getvalue()


def bold_rows(records: list[Record]) -> list[int]:
    return [i for i, row in enumerate(result_table(records).rows) if row.style == "bold"]


def test_scores_beside_the_infected_model() -> None:
    text = shown(grid())
    row = next(line for line in text.splitlines() if "badnets" in line)
    assert " ".join(row.split()) == "badnets red square 20 0% 0.5 85.7 → 82.2 97.9 → 14.8 2.0 → 70.4 96%"


def test_best_feasible_row_of_each_attack_is_bold() -> None:
    records = grid()
    assert bold_rows(records) == [3, 7]
    records[3] = infeasible("badnets", 300, 0.5)
    assert bold_rows(records) == [2, 7]


def test_reasons_are_shown_once() -> None:
    text = " ".join(shown([failed(), failed(size=20), infeasible(size=7), record(size=5)]).split())
    assert text.count("failed: attack did not take") == 1
    assert text.count("[1]") == 3
    assert "[2] infeasible: no α retains 95%" in text


@pytest.mark.parametrize("extra", [{}, {"learning_rate": 1.2345e-05, "poisoning_rate": 0.0123}])
def test_fits_a_hundred_columns_unclipped(extra: Record) -> None:
    records = [*grid(), record(seed=1, **extra), record(method="finetune"), failed()]
    text = shown(records)
    assert max(map(len, text.splitlines())) <= 100
    assert "…" not in "".join(line for line in text.splitlines() if "→" in line).replace("red squa…", "")


def test_no_records() -> None:
    assert "No trial has ended yet." in shown([])
