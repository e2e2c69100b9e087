"""The campaign that is measured is TBAR's part of the quickstart."""

from __future__ import annotations

from pathlib import Path

from tbar_ray.bench.campaign import quickstart_grid
from tbar_ray.planning.planner import Planner
from tbar_ray.spec.load import load_spec

QUICKSTART = Path(__file__).parents[2] / "jobs" / "quickstart.yaml"


def test_its_trials_are_those_of_the_quickstart_that_use_tbar() -> None:
    whole = [one.graph.path.fingerprint for one in Planner(load_spec(QUICKSTART)).grid() if one.trial.method == "tbar"]
    measured = [one.graph.path.fingerprint for one in Planner(quickstart_grid()).grid()]
    assert sorted(measured) == sorted(whole)
    assert len(measured) == 8
