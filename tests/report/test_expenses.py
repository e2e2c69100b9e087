"""What a campaign cost, in words."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from tbar_ray.records.account import Expense
from tbar_ray.records.lost_attempts import LostAttempt
from tbar_ray.report.expenses import (
    expense_json,
    expense_line,
    expense_table,
    hours,
    lost_json,
    lost_line,
    unknown_line,
)

ACCOUNT = {"clean-model": Expense(1, 3, 8, 4, 1600, 8), "path": Expense(2, 2, 0.0041234, unknown=2)}


@pytest.mark.parametrize(
    ("value", "told"),
    [(0, "0"), (4.8e-7, "<0.001"), (0.0041234, "0.00412"), (9.876, "9.88"), (12.34, "12.3"), (1234.56, "1,234.6")],
)
def test_hours_have_as_many_digits_as_matter(value: float, told: str) -> None:
    assert hours(value) == told


def test_the_line_says_what_was_spent_and_saved() -> None:
    spent, saved = "8 CPU-hours, 4 GPU-hours in 3 stages", "1,600.0 CPU-hours, 8 GPU-hours saved"
    assert expense_line(ACCOUNT) == f"{spent}; {saved} by results that were there or are shared"
    assert expense_line({}).startswith("0 CPU-hours, 0 GPU-hours in 0 stages; 0 CPU-hours")


def test_the_table_has_a_row_for_each_kind_and_their_sum() -> None:
    console = Console(file=io.StringIO(), width=100)
    console.print(expense_table(ACCOUNT))
    assert isinstance(console.file, io.StringIO)
    rows = [line.split() for line in console.file.getvalue().splitlines()[1:]]
    assert rows == [
        ["clean-model", "1", "3", "8", "4", "1,600.0", "8"],
        ["path", "2", "2", "0.00412", "0", "0", "0"],
        ["all", "3", "5", "8", "4", "1,600.0", "8"],
    ]


def test_what_older_stages_do_not_tell_is_said() -> None:
    assert unknown_line(ACCOUNT) == "2 stages of an earlier version tell no GPUs; they count as none"
    assert unknown_line({"path": Expense(1, 1)}) is None


def test_json_has_every_number() -> None:
    told = expense_json(ACCOUNT)
    assert list(told["kinds"]) == ["clean-model", "path"]
    assert told["kinds"]["clean-model"]["saved_cpu_hours"] == 1600
    assert (told["all"]["computed"], told["all"]["unknown"]) == (3, 2)


LOST = [
    LostAttempt(title="clean", cause="node", seconds=7200, wasted=1800, cpus=4, gpus=0.5),
    LostAttempt(title="path", cause="launch", seconds=3600, wasted=3600, cpus=1, gpus=0),
    LostAttempt(title="path", cause="launch", seconds=0, wasted=0, cpus=1, gpus=0),
]


def test_what_was_lost_is_told_with_what_of_it_was_done_again() -> None:
    assert lost_line(LOST) == (
        "3 attempts at stages cut off (2 by the loss of a launch, 1 by the loss of a node), which held 9 CPU-hours, "
        "1 GPU-hours; 3 CPU-hours, 0.25 GPU-hours were done again"
    )
    assert lost_line([]) is None
    assert lost_json(LOST) == {
        "attempts": {"node": 1, "launch": 2},
        "hours": {"cpu_hours": 9, "gpu_hours": 1, "wasted_cpu_hours": 3, "wasted_gpu_hours": 0.25},
    }
