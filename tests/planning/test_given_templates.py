"""Templates that cannot be filled are told before the sweep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tbar_ray.data.layout import TEMPLATES
from tbar_ray.data.synthetic.stand_in import Classes, write_labelled, write_pairs
from tbar_ray.errors import SpecError
from tbar_ray.planning.planner import Planner
from tbar_ray.planning.preflight import check_campaign
from tests.specs import spec

CLASSES = Classes(("red circle", "sea"), ("a {c}",))


def campaign(folder: Path, **changes: Any) -> Planner:
    data = {"train": write_pairs(folder / "pairs", CLASSES, 16, 60, labelled=False), "evaluation": str(folder / "set")}
    for name in ("set", "task"):
        write_labelled(folder / name, CLASSES, 16, 2, ("train", "test"))
    return Planner(spec(data=data, tasks={"one": {"url": str(folder / "task")}}, **changes))


@pytest.mark.parametrize("name", ["set", "task"])
def test_a_template_without_a_place_for_the_class_is_told_before_the_sweep(tmp_path: Path, name: str) -> None:
    planner = campaign(tmp_path)
    check_campaign(planner)
    (tmp_path / name / TEMPLATES).write_text("a {}\na photo\n")
    with pytest.raises(SpecError, match=rf"{name}: template 'a photo' of {TEMPLATES} has no \{{c\}}"):
        check_campaign(planner)


def test_templates_that_are_not_used_may_be_anything(tmp_path: Path) -> None:
    planner = campaign(tmp_path, evaluation={"templates": "openai"})
    (tmp_path / "set" / TEMPLATES).write_text("a photo\n")
    check_campaign(planner)
