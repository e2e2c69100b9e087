"""What a rehearsal checks and tells, without Ray."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tbar_ray.campaign.rehearsal import (
    Rehearsed,
    by_kind,
    check_rehearsable,
    plan_rehearsal,
    rehearse,
    replacements,
)
from tbar_ray.errors import SpecError
from tests.specs import spec


def stage(kind: str, seconds: float, memory: int | None) -> dict[str, Any]:
    return {"kind": kind, "seconds": seconds, "peak_memory": memory}


def test_stages_are_told_by_kind_with_the_longest_and_the_largest() -> None:
    found = by_kind([stage("vector", 1.0, 7), stage("gate", 0.1, None), stage("vector", 3.0, 5)])
    assert found == (Rehearsed("vector", 2, 3.0, 7), Rehearsed("gate", 1, 0.1, None))


def test_what_stands_in_for_what_is_told(tmp_path: Path) -> None:
    made = spec(
        data={"train": "/nowhere/{0..3}.tar", "evaluation": "/nowhere/imagenet1k"},
        model={"architecture": "tbar-RN-pico", "pretrained": "/dev/null"},
        tasks={"sun": {"url": "/nowhere/sun397"}},
        attacks={"one": {"trigger": "badnets", "target": "abbey", "task": "sun"}},
        search={"axes": {"attack": ["one"], "seed": [0, 1]}},
    )
    planner = plan_rehearsal(made, tmp_path, here=True, weights=False)
    told = list(replacements(made, planner))
    assert told[0] == "weights: random ones of tbar-RN-pico, from a file"
    assert "evaluation set: 8 classes (tench, goldfish, great white shark, …)" in told
    assert "task sun: 8 classes (abbey, invented sun 1, invented sun 2, …)" in told
    assert told[-1] == "axes of which one value was tried: attack, seed"


def test_missing_data_are_no_error_and_are_named() -> None:
    found = check_rehearsable(spec(data={"train": "/nowhere/0.tar", "evaluation": "/nowhere/imagenet1k"}))
    assert len(found.missing) == 2
    assert "/nowhere/0.tar" in found.missing[0]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"unlearning": {"method": "tbr"}}, "did you mean 'tbar'"),
        ({"unlearning": {"parameters": {"step": 3}}}, "did you mean 'steps'"),
        ({"poison": {"rate": 0.1, "pairs": 10_000}}, "poison.pairs: 10000 asked for"),
        ({"search": {"axes": {"attack": ["badnet"]}}}, "did you mean 'badnets'"),
        ({"model": {"architecture": "ViT-B-32", "pretrained": "openia"}}, "model.pretrained: .*'openia'"),
    ],
)
def test_a_mistake_in_the_spec_ends_it_before_anything_is_written(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(SpecError, match=said):
        rehearse(spec(**changes), tmp_path, None, Console(quiet=True))
    assert not list(tmp_path.iterdir())
