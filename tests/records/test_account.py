"""What a campaign cost, and what sharing saved."""

from __future__ import annotations

import pytest

from tbar_ray.records.account import Expense, account_of, total_of
from tbar_ray.records.measures import StageUse
from tests.records.records import record

MODEL = StageUse(artifact="clean-model-0", seconds=7200, cpus=4, gpus=2)
VECTORS = [StageUse(artifact=f"vector-{number}", seconds=1800, cpus=1, gpus=0.5) for number in range(3)]
RECORDS = [record(seed=number, stages=(MODEL, vector)) for number, vector in enumerate(VECTORS)]


def test_a_stage_that_trials_share_is_paid_for_once_and_saves_what_the_others_would_have_paid() -> None:
    account = account_of(RECORDS)
    assert account == {
        "clean-model": Expense(1, 3, cpu_hours=8, gpu_hours=4, saved_cpu_hours=16, saved_gpu_hours=8),
        "vector": Expense(3, 3, cpu_hours=1.5, gpu_hours=0.75),
    }
    assert total_of(account) == Expense(4, 6, 9.5, 4.75, 16, 8)


def test_what_was_there_before_costs_nothing_and_saves_all_of_its_uses() -> None:
    account = account_of(RECORDS, before={MODEL.artifact, VECTORS[0].artifact, "clean-model-9"})
    assert account["clean-model"] == Expense(0, 3, saved_cpu_hours=24, saved_gpu_hours=12)
    assert account["vector"] == Expense(2, 3, 1.0, 0.5, 0.5, 0.25)


def test_stages_that_do_not_tell_their_gpus_are_counted() -> None:
    old = StageUse(artifact="path-0", seconds=3600, cpus=2)
    assert account_of([record(stages=(old,))])["path"] == Expense(1, 1, cpu_hours=2, unknown=1)


@pytest.mark.parametrize("records", [[], [record()]])
def test_nothing_known_costs_nothing(records: list[object]) -> None:
    assert account_of(records) == {}  # type: ignore[arg-type]
    assert total_of({}) == Expense()
