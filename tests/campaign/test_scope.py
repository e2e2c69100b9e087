"""Which trials of a grid a launch runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tbar_ray.campaign.scope import EVERYTHING, Scope
from tbar_ray.errors import SpecError
from tbar_ray.planning.planner import PlannedTrial, Planner
from tbar_ray.planning.share import Share
from tbar_ray.records.ledger import Ledger
from tbar_ray.store.store import Store
from tests.records.records import failed, infeasible, record
from tests.specs import spec

AXES: dict[str, Any] = {"attack": ["badnets", "blended"], "forget_size": [10, 20]}


def planned_and_ledger(folder: Path) -> tuple[list[PlannedTrial], Ledger]:
    made = spec(search={"axes": AXES})
    return Planner(made).grid(), Ledger(Store(str(folder / "store")), made)


def test_launches_at_one_time_have_names_apart() -> None:
    assert [Scope().name, Scope(share=Share(2, 8)).name] == ["whole", "share-2-of-8"]


def test_a_retry_runs_trials_with_a_failed_record_alone(tmp_path: Path) -> None:
    trials, ledger = planned_and_ledger(tmp_path)
    for make, planned in zip((failed, infeasible, record), trials, strict=False):  # the fourth has not run
        ledger.write(make(fingerprint=planned.fingerprint))
    assert Scope(retry_failed=True).chosen(trials, ledger) == trials[:1]
    assert EVERYTHING.chosen(trials, ledger) == trials


def test_a_search_cannot_be_run_in_part() -> None:
    search = spec(search={"sampler": "random", "trials": 2, "axes": AXES})
    for scope, option in ((Scope(retry_failed=True), "--retry failed"), (Scope(share=Share(1, 2)), "--shard")):
        with pytest.raises(SpecError, match=f"^{option}: demo has the sampler random"):
            scope.check(Planner(search))
        scope.check(Planner(spec(search={"axes": AXES})))
    EVERYTHING.check(Planner(search))


def test_a_share_that_would_be_empty_is_refused_before_anything_runs() -> None:
    planner = Planner(spec(search={"axes": AXES}))
    Scope(share=Share(4, 4)).check(planner)
    with pytest.raises(SpecError, match=r"^--shard 4/5: the grid has 4 trials"):
        Scope(share=Share(4, 5)).check(planner)
