"""What a launch asks for before its trials do, and whether they have all ended."""

from __future__ import annotations

import io
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tbar_ray.campaign.scope import EVERYTHING, Scope
from tbar_ray.campaign.stopping import Stopping
from tbar_ray.campaign.trials import Trials
from tbar_ray.planning.planner import PlannedTrial, Planner
from tbar_ray.planning.share import Share
from tbar_ray.records.ledger import Ledger
from tbar_ray.records.record import TrialRecord
from tbar_ray.search.journal_place import FILE
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


SEARCH: dict[str, Any] = {
    "sampler": "tpe", "trials": 4, "axes": {"attack": ["badnets"], "alpha": {"low": 0.0, "high": 1.0}}
}  # fmt: skip


@pytest.mark.parametrize("known", [0, 1, 3, 4])
def test_a_search_takes_what_the_store_has_and_runs_the_rest(
    known: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, console = spec(search={**SEARCH, "concurrency": 2}), Console(file=io.StringIO(), width=200)
    launched, taken = trials(made, tmp_path, console=console), Counter[str]()

    def in_the_store(_: object, planned: PlannedTrial) -> TrialRecord | None:
        taken["seen"] += 1
        return record(fingerprint=planned.fingerprint) if taken["seen"] <= known else None

    monkeypatch.setattr(launched, "_known", in_the_store)
    run: list[tuple[int, int]] = []
    monkeypatch.setattr(launched, "_sweep", lambda _, __, left: run.append((len(left.known), left.total)))
    with ExitStack() as stack:
        launched.run(None, stack)
    # batches of two: the second is proposed once the first has ended
    assert run == {0: [(2, 4)], 1: [(1, 3)], 3: [(1, 1)], 4: []}[known]
    assert len(launched.records()) == known
    assert isinstance(console.file, io.StringIO)
    told = {0: "", 1: "1 of 4", 3: "3 of 4", 4: "all 4"}[known]
    assert (f"{told} trials are in the store" in console.file.getvalue()) is bool(known)
    assert launched._ledger.store.exists(f"{launched._ledger.folder}/{FILE}") is (known > 1)  # of every whole batch


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
    monkeypatch.setattr(
        launched, "_sweep", lambda _, __, left: run.extend(one.planned.fingerprint for one in left.known)
    )
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
    monkeypatch.setattr(
        launched, "_sweep", lambda _, __, left: run.extend(one.planned.fingerprint for one in left.known)
    )
    launched.run(None, ExitStack())
    assert run == [mine.fingerprint]
    assert launched.left_out == 0
    found = launched.elsewhere()
    assert [told.fingerprint for told in found if told is not None] == [bad.fingerprint]
    assert found.count(None) == len([gone, fresh])
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue()[len("12:34:56  ") :] == "campaign demo: share 1/4 has 1 of 4 trials\n"
