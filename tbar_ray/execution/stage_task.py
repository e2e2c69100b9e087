"""Running one stage in a worker, and committing what it wrote."""

from __future__ import annotations

import gc
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from functools import cache
from typing import Any

import ray
from ray import cloudpickle
from ray.exceptions import RayError

from tbar_ray.errors import BrokenArtifactError, ResumeError, ScientificError, TbarError
from tbar_ray.execution.calls import Outcome
from tbar_ray.execution.gpu_process import free_gpu_memory, is_of_another_gpu
from tbar_ray.execution.process_memory import forget_peak, peak_memory
from tbar_ray.execution.process_samples import ProcessSamples
from tbar_ray.origin import code
from tbar_ray.processors import let_waiting_threads_sleep
from tbar_ray.stages.lost import StageLostError, cause_of
from tbar_ray.stages.node import DEFAULT_POLICY, Policy, Report, Stage, StageContext, architecture_under
from tbar_ray.store.checkpoints import Checkpoints
from tbar_ray.store.claim import ClaimedError, claimed
from tbar_ray.store.store import Store

let_waiting_threads_sleep()  # a worker of another node has the environment of `ray start`, not of the command line
REPORT_EVERY = 0.5
"""Seconds between progress reports of one stage."""


def get_ready() -> None:
    """Import what stages need, so that this process is ready when its first stage comes (a Ray task)."""
    import tbar_ray.stages.runtime  # noqa: F401
    from tbar_ray.models.library import open_clip

    open_clip()
    # stages collect garbage before they measure memory: imported modules never become garbage
    gc.collect()
    gc.freeze()


def run_stage(payload: bytes, policy: Policy, store: Store, coordinator: Any, group: Any = None) -> Outcome:
    """Run one stage in this process and commit its artifact (a Ray task).

    It runs in a thread beside the task's own. Ray takes the CPUs of a task whose own thread waits in `ray.get` for
    others, as a training waits for its readers, and would start more stages on them.
    """
    if policy.gpus and is_of_another_gpu():
        return Outcome(other_gpu=True)
    try:
        return _stage_thread().submit(_run_stage, payload, policy, store, coordinator, group).result()
    finally:
        if policy.gpus:
            free_gpu_memory()


@cache
def _stage_thread() -> ThreadPoolExecutor:
    """The thread of all stages of this process: torch has settings, and OpenMP workers, for each thread."""
    return ThreadPoolExecutor(1, thread_name_prefix="stage")


def _run_stage(payload: bytes, policy: Policy, store: Store, coordinator: Any, group: Any) -> Outcome:
    import torch

    stage: Stage = cloudpickle.loads(payload)
    torch.set_num_threads(stage.threads)
    last = [0.0]

    def report(facts: dict[str, Any]) -> None:
        now = time.monotonic()
        if now - last[0] >= REPORT_EVERY or facts.keys() & {"note", "kept"} or facts.get("done") == facts.get("total"):
            last[0] = now
            coordinator.report.remote(stage.fingerprint, facts)

    try:
        with claimed(store, stage.artifact) if stage.shared else nullcontext():
            coordinator.report.remote(stage.fingerprint, {})
            if not (stage.shared and store.has(stage.artifact)):  # another launch may have ended it meanwhile
                compute(stage, store, report, policy, group)
        _settle(stage.kind)
    except ClaimedError:
        return Outcome(claimed=True)
    except StageLostError as error:
        return Outcome(str(error), lost=error.cause)
    except RayError as error:  # a reader that is lost with the node is missed before this process ends
        lost = cause_of(error)
        if lost is None:
            raise
        return Outcome(f"{type(error).__name__}: {last_line(error)}", lost=lost)
    except BrokenArtifactError as error:
        return Outcome(str(error), broken=error.artifact)
    except TbarError as error:
        return Outcome(str(error))
    return Outcome(None, ray.get_runtime_context().get_node_id(), store.fetched)


@cache
def _settle(kind: str) -> None:  # noqa: ARG001 - once for each kind
    """Leave out of garbage collection what the first stage of a kind has imported and cached.

    Each training collects garbage before it measures memory, which takes as long as there are objects to look at.
    """
    gc.collect()
    gc.freeze()


def compute(
    stage: Stage,
    store: Store,
    report: Report = lambda _: None,
    policy: Policy = DEFAULT_POLICY,
    group: Any = None,
) -> dict[str, Any]:
    """Compute a stage whose inputs are in the store, and commit it.

    `group` is the placement group of its workers, if it has several (`StageContext`).

    Raises:
        TbarError: any error of the stage or of the store.
    """
    started = time.perf_counter()
    out = store.scratch()
    forget_peak()
    try:
        store.check_space(out, stage.disk, stage.title)
        given = policy.for_stage(stage)
        with ProcessSamples() if stage.shared and stage.trains else nullcontext() as samples:
            facts = _run(stage, StageContext(store, out, report, policy, group))
        seconds = time.perf_counter() - started
        record = {
            "kind": stage.kind,
            "fingerprint": stage.fingerprint,
            "title": stage.title,
            "identity": stage.identity(),
            "architecture": architecture_under(stage),
            "facts": facts,
            "seconds": seconds,
            "ended": time.time(),
            "code": _code(),
            "threads": stage.threads,
            "cpus": stage.threads * given.training_workers,
            "gpus": given.gpus * given.training_workers,
            "work": stage.work,
            "peak_memory": peak_memory(),
            "process": None if samples is None else samples.columns,
        }
        store.commit(stage.artifact, out, record)
        Checkpoints(store, stage.artifact, 0).remove()
    except ArithmeticError as error:
        raise ScientificError(f"{stage.title}: {error}") from None
    except TbarError:
        raise
    except Exception as error:
        store.check_room(out, error)  # libraries that write files have errors of their own for a full disk
        raise
    finally:
        shutil.rmtree(out, ignore_errors=True)
    return facts


@cache
def _code() -> str:
    """Version and commit of this code; asked once, since git is."""
    return code()


def _run(stage: Stage, context: StageContext) -> dict[str, Any]:
    """Run a stage; where its checkpoint cannot be gone on with, without it."""
    try:
        return stage.run(context)
    except ResumeError as error:
        context.report({"note": f"its checkpoint is discarded, and it starts anew: {error}"})
        Checkpoints(context.store, stage.artifact, 0).remove()
        shutil.rmtree(context.out)
        context.out.mkdir()
        return stage.run(context)


def last_line(error: Exception) -> str:
    """Last line of an error, cut to 300 characters; of a remote one, whose text is a traceback, its message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""
