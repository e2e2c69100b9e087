"""Running a stage in a worker, without Ray."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest
import ray
from ray import cloudpickle

from tbar_ray.execution import stage_task
from tbar_ray.execution.stage_task import REPORT_EVERY, compute, run_stage
from tbar_ray.origin import code
from tbar_ray.stages.node import DEFAULT_POLICY, Policy, Stage
from tbar_ray.store.store import Store
from tests.execution.small_stages import Noted, Working


@pytest.mark.parametrize(("given", "expected"), [({}, "passive"), ({"OMP_WAIT_POLICY": "active"}, "active")])
def test_the_threads_of_a_worker_sleep_while_they_wait_unless_they_are_told_not_to(
    given: dict[str, str], expected: str
) -> None:
    """A worker of another node imports this module, and torch only with its first stage, after which it is too late."""
    code = "import os, sys, tbar_ray.execution.stage_task; print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)"
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"} | given
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.split() == [expected, "False"]


class Reports:
    """A coordinator that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.report = self

    def remote(self, _: str, facts: dict[str, Any]) -> None:
        self.told.append(facts)


class _Node:
    def get_node_id(self) -> str:
        return "here"


@pytest.fixture(autouse=True)
def _no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "get_runtime_context", _Node)


def told_of(stage: Stage, folder: Path) -> list[dict[str, Any]]:
    reports = Reports()
    outcome = run_stage(cloudpickle.dumps(stage), DEFAULT_POLICY, Store(str(folder / "store")), reports)
    assert outcome.error is None
    return reports.told


def test_what_happens_within_half_a_second_is_told_once_and_the_end_at_once(tmp_path: Path) -> None:
    told = told_of(Working(pauses=(0, 0, 1.2 * REPORT_EVERY, 0, 0)), tmp_path)
    assert [facts.get("done") for facts in told] == [None, 1, 3, 5]


def test_what_the_first_stage_of_a_kind_leaves_is_no_garbage_to_look_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage_task._settle.cache_clear()
    frozen: list[None] = []
    monkeypatch.setattr(gc, "freeze", lambda: frozen.append(None))
    for name in ("a", "b", "c"):
        told_of(Noted(notes=str(tmp_path), name=name), tmp_path)
    assert len(frozen) == 1


class OnModel(Noted):
    """Computes on a model, on several workers."""

    kind: ClassVar[str] = "on-model"
    on_model: ClassVar[bool] = True
    divisible: ClassVar[bool] = True


@pytest.mark.parametrize(("kind", "cpus", "gpus"), [(OnModel, 6, 1.5), (Noted, 2, 0)])
def test_a_commit_tells_the_cpus_and_gpus_that_a_stage_held(
    kind: type[Noted], cpus: float, gpus: float, tmp_path: Path
) -> None:
    stage, store = kind(notes=str(tmp_path), name="a", threads=2), Store(str(tmp_path / "store"))
    compute(stage, store, policy=Policy(gpus=1, training_gpus=0.5, training_workers=3))
    facts = store.facts(stage.artifact)
    assert (facts["cpus"], facts["gpus"]) == (cpus, gpus)
    again = kind(notes=str(tmp_path), name="b", threads=2)
    compute(again, store, policy=Policy(gpus=1, training_gpus=0.5, training_workers=3).for_stage(again))
    facts = store.facts(again.artifact)
    assert (facts["cpus"], facts["gpus"]) == (cpus, gpus), "as the coordinator sends it"


def test_an_artifact_says_which_code_computed_it(tmp_path: Path) -> None:
    store, stage = Store(str(tmp_path / "store")), Noted(notes=str(tmp_path), name="one")
    compute(stage, store)
    assert store.facts(stage.artifact)["code"] == code()


def test_a_process_of_another_gpu_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage_task, "is_of_another_gpu", lambda: True)
    store, notes = Store(str(tmp_path / "store")), tmp_path / "notes"
    notes.mkdir()
    stage = Noted(notes=str(notes), name="one")
    outcome = run_stage(cloudpickle.dumps(stage), Policy(gpus=1), store, Reports())
    assert outcome.other_gpu
    assert not list(notes.iterdir())
    assert run_stage(cloudpickle.dumps(stage), DEFAULT_POLICY, store, Reports()).error is None  # needs no GPU


@pytest.mark.parametrize(("fails", "gpus"), [(False, 0.5), (True, 0.5), (False, 0.0)])
def test_a_stage_leaves_no_memory_of_its_gpu_behind(
    fails: bool, gpus: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The allocator keeps what a stage has freed, and the next stage on that GPU may run in another process."""
    freed: list[str] = []
    monkeypatch.setattr(ray, "get_gpu_ids", lambda: [0])
    monkeypatch.setattr(stage_task, "free_gpu_memory", lambda: freed.append("all"))
    (tmp_path / "notes").mkdir()
    stage = Noted(notes=str(tmp_path / "notes"), name="one", fails=fails)
    run_stage(cloudpickle.dumps(stage), Policy(gpus=gpus), Store(str(tmp_path / "store")), Reports())
    assert freed == ["all"] * bool(gpus)
