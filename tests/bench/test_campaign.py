"""The campaign that is measured is the quickstart."""

from __future__ import annotations

from pathlib import Path

from tbar_ray.bench.campaign import quickstart_grid
from tbar_ray.spec.load import load_spec

QUICKSTART = Path(__file__).parents[2] / "jobs" / "quickstart.yaml"


def test_the_grid_is_that_of_the_quickstart() -> None:
    words = {"name", "description"}
    assert quickstart_grid().model_dump(exclude=words) == load_spec(QUICKSTART).model_dump(exclude=words)
