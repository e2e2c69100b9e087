"""What a launch asks for before its trials do, and whether they have all ended."""

from __future__ import annotations

import io
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tbar_ray.campaign.scope import EVERYTHING, Scope
from tbar_ray.campaign.stopping import Stopping
from tbar_ray.campaign.trials import Trials
from tbar_ray.planning.planner import Planner
from tbar_ray.planning.share import Share
from tbar_ray.records.ledger import Ledger
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.store.store import Store
from tbar_ray.tracking.recording import Recording
from tests.records.records import failed, record
from tests.specs import spec


def trials(made: CampaignSpec, folder: Path, scope: Scope = EVERYTHING, console: Console | None = None) -> Trials:
    console = console or Console(file=io.StringIO())
    recording = Recording(made, f"sqlite:///{folder / 'mlflow.db'}", console)
    ledger = Ledger(Store(str(folder / "store")), made)
    return Trials(Planner(made), ledger, recording, console, Stopping(lambda: None), lambda _: None, scope)


@pytest.mark.parametrize(("concurrency", "expected"), [(1, 1), (2, 2), (9, 4)])
def test_a_grid_begins_with_the_outputs_of_as_many_trials_as_run_at_a_time(
    concurrency: int, expected: int, tmp_path: Path
) -> None:
    axes = {"attack": ["badnets", "blended"], "forget_size": [10, 20]}
    made = spec(search={"axes": axes})
    found = trials(made, tmp_path)._first_stages(Planner(made).grid(), concurrency)
    assert [stage.kind for stage in found] == ["path", "visibility"] * expected
    assert len({stage.fingerprint for stage in found if stage.kind == "path"}) == expected


SEARCH: dict[str, Any] = {
    "sampler": "tpe", "trials": 4, "axes": {"attack": ["badnets"], "alpha": {"low": 0.0, "high": 1.0}}
}  # fmt: skip


def test_a_search_begins_with_the_clean_model(tmp_path: Path) -> None:
    made = spec(search=SEARCH)
    (found,) = trials(made, tmp_path)._first_stages(None, 4)
    assert found.fingerprint == Planner(made).foundation().clean.fingerprint


def test_a_search_over_given_weights_has_nothing_to_begin_with(tmp_path: Path) -> None:
    made = spec(model={"architecture": "RN50", "pretrained": "openai"}, search=SEARCH)
    assert trials(made, tmp_path)._first_stages(None, 4) == []


@pytest.mark.parametrize(
    ("handed_out", "left", "interrupted"),
    [(["a", "b", "b"], set(), False), (["a", "b"], set(), True), (["a", "b", "c"], {"c"}, True)],
    ids=["one was proposed twice", "the last was never handed out", "the last has not ended"],
)
def test_an_interruption_shows_in_what_was_handed_out_and_has_ended(
    handed_out: list[str], left: set[str], interrupted: bool, tmp_path: Path
) -> None:
    launched = trials(spec(search=SEARCH), tmp_path)
    launched._handed_out, launched._total = len(handed_out), 3
    launched._left_to_do = left
    assert launched.interrupted() is interrupted


@pytest.mark.parametrize(("scope", "expected", "left_out"), [(EVERYTHING, 2, 0), (Scope(retry_failed=True), 1, 1)])
def test_what_a_launch_was_asked_for_is_what_it_runs(
    scope: Scope, expected: int, left_out: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, console = spec(), Console(file=io.StringIO(), width=200)
    launched = trials(made, tmp_path, scope, console)
    grid = Planner(made).grid()
    launched._ledger.write(failed(fingerprint=grid[1].fingerprint))
    run: list[str] = []
    monkeypatch.setattr(launched, "_sweep", lambda _, __, left: run.extend(planned.fingerprint for planned in left))
    launched.run(None, ExitStack())
    assert run == [planned.fingerprint for planned in grid[-expected:]]
    assert launched.left_out == left_out
    assert isinstance(console.file, io.StringIO)
    told = "campaign demo: 1 failed trial to run again; 1 not run yet are left out\n"
    assert console.file.getvalue()[len("12:34:56  ") :] == (told if scope.retry_failed else "")


def test_a_share_is_run_alone_and_knows_what_the_others_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = spec(search={"axes": {"attack": ["badnets", "blended"], "forget_size": [10, 20]}})
    console = Console(file=io.StringIO(), width=200)
    launched = trials(made, tmp_path, Scope(share=Share(1, 4)), console)
    mine, bad, gone, fresh = Planner(made).grid()
    launched._ledger.write(failed(fingerprint=bad.fingerprint))
    launched._ledger.write(record(fingerprint=gone.fingerprint))  # its path is not in the store any more
    run: list[str] = []
    monkeypatch.setattr(launched, "_sweep", lambda _, __, left: run.extend(planned.fingerprint for planned in left))
    launched.run(None, ExitStack())
    assert run == [mine.fingerprint]
    assert launched.left_out == 0
    found = launched.elsewhere()
    assert [told.fingerprint for told in found if told is not None] == [bad.fingerprint]
    assert found.count(None) == len([gone, fresh])
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue()[len("12:34:56  ") :] == "campaign demo: share 1/4 has 1 of 4 trials\n"
