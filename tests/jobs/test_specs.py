"""Every campaign that is shipped loads, names only what exists, and can be planned and costed without its data."""

from pathlib import Path

import pytest

from tbar_ray.planning.plan import make_plan, total_seconds
from tbar_ray.planning.planner import Planner
from tbar_ray.planning.preflight import check_campaign
from tbar_ray.spec.load import load_spec
from tbar_ray.store.store import Store

JOBS = Path(__file__).parents[2] / "jobs"
SPECS = sorted(JOBS.rglob("*.yaml"))


@pytest.mark.parametrize("path", SPECS, ids=[str(path.relative_to(JOBS)) for path in SPECS])
def test_a_shipped_campaign_can_be_planned_and_costed(path: Path, tmp_path: Path) -> None:
    spec = load_spec(path)
    planner = Planner(spec, without_data=True)
    check_campaign(planner)
    plan = make_plan(planner, Store(str(tmp_path)), images_per_second=1000)
    assert plan.total_trials >= 1
    assert all(stage.seconds is not None for stage in plan.stages)
    cost = total_seconds(plan.to_compute)
    assert cost is not None
    assert cost > 0
    assert bool(planner.missing) == (spec.data.synthetic is None)


@pytest.mark.parametrize("path", SPECS, ids=[str(path.relative_to(JOBS)) for path in SPECS])
def test_a_shipped_campaign_opens_with_what_it_answers_and_how_to_run_it(path: Path) -> None:
    lines = path.read_text().splitlines()
    comment = "\n".join(line for line in lines[: next(i for i, line in enumerate(lines) if line.startswith("name:"))])
    assert "?" in comment.split("\n\n")[0]
    assert f"tbar campaign run jobs/{path.relative_to(JOBS)}" in comment


def test_every_small_campaign_of_an_ablation_has_a_twin_at_the_size_of_the_literature() -> None:
    small = {path.name for path in JOBS.glob("*.yaml")} - {
        "quickstart.yaml",
        "pretrain.yaml",
        "attack_budgets.yaml",
        "zoo.yaml",
    }
    assert small <= {path.name for path in (JOBS / "paper").glob("*.yaml")}
    assert len({load_spec(path).name for path in SPECS}) == len(SPECS)
