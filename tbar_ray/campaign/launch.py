"""Running a campaign from start to end: checks, Ray, the sweep, MLflow and the report."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from tbar_ray.execution.ray_environment import prepare, resolve_address
from tbar_ray.planning.foundation import Foundation, lay_foundation
from tbar_ray.planning.graph import build_graph
from tbar_ray.planning.preflight import check_spec
from tbar_ray.planning.trial import Trial, grid_trials
from tbar_ray.records.results import Ledger, Record, finished_record
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.stages.node import Stage, stages_in_order
from tbar_ray.store.store import Store
from tbar_ray.tracking.recording import Recording

PATIENCE = 10.0
"""Seconds that the sweep waits for its first stage to run; a cluster may have to start a node for it."""


@dataclass(frozen=True)
class Launch:
    """What a launch left behind."""

    records: list[Record]
    report: Path
    parent_run: str
    experiment_id: str
    interrupted: bool
    seconds: float
    tracking_failure: str | None = None
    """Why MLflow has not recorded everything; what is missing is recorded by the next launch."""

    @property
    def failed(self) -> int:
        """Return the number of failed trials."""
        return sum(record["status"] == "failed" for record in self.records)


def launch(
    spec: CampaignSpec, store: Store, tracking_uri: str, report: Path, address: str | None, console: Console
) -> Launch:
    """Run a campaign. What is in the store is not computed again; what MLflow has is not doubled.

    Raises:
        TbarError: one line, for anything that can be known to be wrong before the sweep.
    """
    started = time.perf_counter()
    base = lay_foundation(spec)
    check_spec(spec, base)
    store.check()
    store.remove_abandoned_scratch()
    ledger = Ledger(store, spec)
    ledger.open()
    recording = Recording(spec, tracking_uri, console)
    proposed: list[Trial] = []
    interrupted = True
    status = "FAILED"
    records: list[Record] = []
    try:
        left: list[Trial] | None = None
        if spec.search.sampler == "grid":
            proposed, left = _replay(spec, base, ledger, recording, console)
        if left is None or left:
            proposed = proposed + _sweep_on_ray(spec, base, store, recording, address, console, left)
        recording.wait_until_open()
        records = records_of(spec, base, ledger, proposed)
        interrupted = len(records) < len({_key(spec, base, trial) for trial in proposed}) or not proposed
        files = _report(spec, store, base, report, records, recording)
        status = _status(records, interrupted)
        console.print(f"report: {len(files)} files in {report}")
    except KeyboardInterrupt:
        status = "KILLED"
    finally:
        recording.finish(status, {"trials": len(records), "failed": sum(r["status"] == "failed" for r in records)})
    seconds = time.perf_counter() - started
    tracker = recording.wait_until_open()
    return Launch(records, report, tracker.parent_id, tracker.experiment_id, interrupted, seconds, recording.failure)


def _replay(
    spec: CampaignSpec, base: Foundation, ledger: Ledger, recording: Recording, console: Console
) -> tuple[list[Trial], list[Trial]]:
    """Take the trials of a grid that the store has from there, without Ray; return them, and those that are left."""
    done: list[Trial] = []
    left: list[Trial] = []
    for trial in grid_trials(spec):
        graph = build_graph(spec, trial, base)
        if not all(ledger.store.has(end.artifact) for end in graph.outputs):
            left.append(trial)
            continue
        record = finished_record(spec, trial, graph, ledger.store)
        ledger.write(record)
        recording.log_trial(record)
        done.append(trial)
    if done:
        which = "all" if not left else f"{len(done)} of"
        total = len(done) + len(left)
        console.print(f"campaign [bold]{spec.name}[/]: {which} {total} trials are in the store {ledger.store.url}")
    return done, left


def _sweep_on_ray(
    spec: CampaignSpec,
    base: Foundation,
    store: Store,
    recording: Recording,
    address: str | None,
    console: Console,
    trials: list[Trial] | None,
) -> list[Trial]:
    """Run trials on Ray, those of a grid as given; return those that were proposed."""
    address = resolve_address(address)
    prepare(address)
    import ray

    from tbar_ray.campaign.display import Display
    from tbar_ray.execution.cluster import ray_session
    from tbar_ray.execution.executor import calls_for

    with ray_session(address, spec) as where, _workers(spec.search.concurrency), _coordinator(store) as coordinator:
        # importing MLflow and Tune takes seconds of a core: what the first trials will ask for starts before
        begun = [coordinator.resolve.remote(calls_for(stage)) for stage in first_stages(spec, base, trials)]
        if begun:
            ray.wait([coordinator.wait_until_begun.remote()], timeout=PATIENCE)
        recording.open()
        from tbar_ray.search.samplers import searched_trials
        from tbar_ray.search.sweep import sweep

        total = searched_trials(spec) if trials is None else len(trials)
        many = f"{total} trial{'' if total == 1 else 's'}"
        console.print(f"campaign [bold]{spec.name}[/]: {many} on {where}; store {store.url}")
        recording.wait_until_open()
        with Display(console, coordinator, total) as display:

            def ended(record: Record) -> None:
                recording.log_trial(record)
                display.trial_ended(record)

            return sweep(spec, base, store, coordinator, ended, trials)


@contextmanager
def _workers(count: int) -> Iterator[None]:
    """Let so many processes start and import, if there is room, while the coordinator starts: stages then find them."""
    import ray

    from tbar_ray.execution.executor import get_ready

    cores = int(ray.cluster_resources().get("CPU", 0))
    ready = [ray.remote(get_ready).options(num_cpus=1).remote() for _ in range(min(count, cores))]
    try:
        yield
    finally:
        for task in ready:
            ray.cancel(task)  # one that has found no room by now is not wanted


@contextmanager
def _coordinator(store: Store) -> Iterator[Any]:
    """Yield a coordinator, and end it with what runs for it: Tune would keep it as long as this process lives."""
    import ray

    from tbar_ray.execution.executor import Coordinator

    actor = ray.remote(Coordinator).options(num_cpus=0, max_concurrency=1000).remote(store)
    try:
        yield actor
    finally:
        ray.kill(actor)


def first_stages(spec: CampaignSpec, base: Foundation, trials: list[Trial] | None) -> list[Stage]:
    """Return what the first trials will ask for: those of a grid their ends, those of a search the clean model."""
    if trials is None:
        return stages_in_order([base.clean])[-1:]
    return [end for trial in trials[: spec.search.concurrency] for end in build_graph(spec, trial, base).outputs]


def records_of(spec: CampaignSpec, base: Foundation, ledger: Ledger, trials: list[Trial]) -> list[Record]:
    """Return the records of these trials, each once, in table order; those without a record are left out."""
    keys = {_key(spec, base, trial) for trial in trials}
    return [record for record in ledger.read() if record["fingerprint"] in keys]


def _key(spec: CampaignSpec, base: Foundation, trial: Trial) -> str:
    return build_graph(spec, trial, base).path.fingerprint


def _status(records: list[Record], interrupted: bool) -> str:
    if interrupted:
        return "KILLED"
    return "FAILED" if any(record["status"] == "failed" for record in records) else "FINISHED"


def _report(
    spec: CampaignSpec, store: Store, base: Foundation, out: Path, records: list[Record], recording: Recording
) -> list[Path]:
    from tbar_ray.report import write_report

    files = write_report(spec, store, out, records)
    recording.log_report(files)
    for name, stage in _trainings(spec, base, records):
        if store.has(stage.artifact):
            recording.log_training(name, store.facts(stage.artifact)["facts"]["training"])
    return files


def _trainings(spec: CampaignSpec, base: Foundation, records: list[Record]) -> list[tuple[str, Stage]]:
    """Return the shared trainings under these trials, with a name for their loss curves."""
    from tbar_ray.planning.trial import Trial

    found: dict[str, Stage] = {}
    for record in records:
        values = {name: record[name] for name in Trial.model_fields if name in record}
        values |= {"alphas": tuple(record["alphas"]), "parameters": tuple(record.get("searched", ()))}
        trial = Trial(**values)
        for stage in stages_in_order(list(build_graph(spec, trial, base).outputs)):
            if stage.kind in ("clean-model", "infected-model"):
                found.setdefault(f"{stage.kind} {stage.fingerprint[:8]}", stage)
    return list(found.items())
