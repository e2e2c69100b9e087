"""What a rehearsal checks and tells, without Ray."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tbar_ray.campaign.launch import Launch
from tbar_ray.campaign.rehearsal import (
    Rehearsal,
    Rehearsed,
    _found_nothing,
    by_kind,
    check_rehearsable,
    plan_rehearsal,
    rehearse,
    replacements,
)
from tbar_ray.errors import SpecError
from tbar_ray.planning.planner import Planner
from tbar_ray.stages.invert import PROXY, ProxyBackdoor
from tbar_ray.store.store import Store
from tests.records.records import failed
from tests.specs import spec


def stage(kind: str, seconds: float, memory: int | None) -> dict[str, Any]:
    return {"kind": kind, "seconds": seconds, "peak_memory": memory}


def test_stages_are_told_by_kind_with_the_longest_and_the_largest() -> None:
    found = by_kind([stage("vector", 1.0, 7), stage("gate", 0.1, None), stage("vector", 3.0, 5)])
    assert found == (Rehearsed("vector", 2, 3.0, 7), Rehearsed("gate", 1, 0.1, None))


@pytest.mark.parametrize(
    ("proxy", "nothing"),
    [
        (None, False),
        ({"trigger": None, "target": None}, True),
        ({"trigger": {"side": 8}, "target": None}, True),
        ({"trigger": {"side": 8}, "target": "red circle"}, False),
    ],
)
def test_a_search_that_found_nothing_is_told_from_a_failure(
    tmp_path: Path, proxy: dict[str, Any] | None, nothing: bool
) -> None:
    made = spec(defender={"inversion": "decree"}, search={"axes": {"attack": ["badnets"]}})
    (planned,) = Planner(made).grid()
    store = Store(str(tmp_path / "store"))
    judge = planned.graph.path.judge
    assert judge is not None
    assert isinstance(judge.backdoor, ProxyBackdoor)
    if proxy is not None:
        out = store.scratch()
        (out / PROXY).write_text(json.dumps(proxy))
        store.commit(judge.backdoor.search.artifact, out, {})
    assert _found_nothing(planned, store) is nothing
    record = failed(reason="no trigger").model_copy(update={"fingerprint": planned.fingerprint})
    found = Launch([record], tmp_path, "run", "1", False, 1.0, {})
    excused = frozenset({planned.fingerprint} if nothing else ())
    assert bool(Rehearsal(found, (), (), (), {}, excused).failed) is not nothing


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
    assert "evaluation set: 4 classes (tench, goldfish, great white shark, …)" in told
    assert "task sun: 4 classes (abbey, invented sun 1, invented sun 2, …)" in told
    assert told[-1] == "axes of which one value was tried: attack, seed"


def test_models_that_are_not_planted_are_named(tmp_path: Path) -> None:
    made = spec(
        data={"train": "/nowhere/{0..3}.tar", "evaluation": "/nowhere/imagenet1k"},
        model={"architecture": "tbar-RN-pico", "pretrained": "/dev/null"},
        attacks={name: {"trigger": name, "target": "banana"} for name in ("badnets", "sig")},
        search={"axes": {"attack": ["badnets", "sig"]}},
    )
    told = list(replacements(made, plan_rehearsal(made, tmp_path, here=True, weights=False)))
    assert "infected models: other random weights for sig, which repeat a planting" in told


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
