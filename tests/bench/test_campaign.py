"""The campaign that is measured is TBAR's part of the quickstart."""

from __future__ import annotations

from pathlib import Path

import pytest

from tbar_ray.bench.campaign import CPUS, quickstart_grid, run_trials
from tbar_ray.planning.planner import Planner
from tbar_ray.report import files
from tbar_ray.spec.load import load_spec
from tbar_ray.store.store import Store

QUICKSTART = Path(__file__).parents[2] / "jobs" / "quickstart.yaml"


def test_its_trials_are_those_of_the_quickstart_that_use_tbar() -> None:
    whole = [one.graph.path.fingerprint for one in Planner(load_spec(QUICKSTART)).grid() if one.trial.method == "tbar"]
    measured = [one.graph.path.fingerprint for one in Planner(quickstart_grid()).grid()]
    assert sorted(measured) == sorted(whole)
    assert len(measured) == 8


@pytest.mark.ray
@pytest.mark.timeout(600)
def test_many_trials_tell_their_own_work_apart_from_that_of_what_was_there(
    local_ray: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_figures", lambda *_: {})  # drawing them takes seconds
    found = run_trials(tmp_path, 2)
    store = Store(str(tmp_path / "store"))
    stages = [store.facts(name) for name in store.artifacts() if name.startswith(("vector-", "path-"))]
    assert len(stages) == 6, "one trial was there before"
    latest = sorted(stages, key=lambda facts: facts["ended"])[2:]
    assert found.own == pytest.approx(sum(facts["seconds"] for facts in latest) / CPUS)
    assert len(found.ends) == 2
