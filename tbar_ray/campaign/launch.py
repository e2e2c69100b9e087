"""Running a campaign from start to end: checks, Ray, the sweep, MLflow and the report."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from tbar_ray.campaign.best_models import log_best_models
from tbar_ray.campaign.live import note_killed
from tbar_ray.campaign.saying import say, warn
from tbar_ray.campaign.scope import EVERYTHING, Scope
from tbar_ray.campaign.sheets import SheetMaker
from tbar_ray.campaign.stopping import Stopping, end_process
from tbar_ray.campaign.trials import Trials
from tbar_ray.errors import TrackingError
from tbar_ray.execution.budget import Budget
from tbar_ray.exit_codes import ExitCode
from tbar_ray.planning.planner import Planner
from tbar_ray.planning.preflight import check_campaign
from tbar_ray.records.account import Expense, account_of
from tbar_ray.records.ledger import Ledger, in_order
from tbar_ray.records.lost_attempts import LostAttempt, lost_attempts_of
from tbar_ray.records.record import TrialRecord
from tbar_ray.records.sheets import KeptSheets
from tbar_ray.report.folder import check_writable
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.store.lease import Lease
from tbar_ray.store.store import Store
from tbar_ray.store.temporary import remove_abandoned, temporary
from tbar_ray.tracking.recording import Recording


@dataclass(frozen=True)
class Launch:
    """The result of a launch; of one that ran a share, `records` are those of its own trials."""

    records: list[TrialRecord]
    report: Path
    parent_run: str
    experiment_id: str
    interrupted: bool
    seconds: float
    account: Mapping[str, Expense]
    """What the launch's trials cost and what was there already, by kind of stage."""
    lost_attempts: Sequence[LostAttempt] = ()
    """Attempts at stages that were cut off, in all launches of the campaign, and made again."""
    refused: str | None = None
    """The stage that the budget was not enough for, in one line."""
    tracking_failure: str | None = None
    """Why MLflow has not recorded everything; what is missing is recorded by the next launch."""

    @property
    def failed(self) -> int:
        """Number of failed trials."""
        return sum(record.status == "failed" for record in self.records)


def launch(
    spec: CampaignSpec,
    store: Store,
    tracking_uri: str,
    report: Path,
    address: str | None,
    console: Console,
    *,
    force: bool = False,
    scope: Scope = EVERYTHING,
    budget: Budget | None = None,
    planner: Planner | None = None,
    log_models: bool | None = False,
    sheets: bool = False,
) -> Launch:
    """Run a campaign. Artifacts in the store are not computed again; runs in MLflow are not duplicated.

    Args:
        spec: the campaign.
        store: where its results go.
        tracking_uri: where MLflow records it.
        report: folder of the report.
        address: of a Ray cluster; None for RAY_ADDRESS, else a local Ray.
        console: where it is shown.
        force: whether to take the campaign from another launch that runs it.
        scope: which trials of a grid to run.
        budget: what they may cost: no stage starts that would go past it. None for whatever they cost.
        planner: makes the trials, where they are not all that the spec asks for (a rehearsal's), and was checked; None:
            the trials are the spec's.
        log_models: whether MLflow gets the best cleaned model of each attack; None: where the weights are small.
        sheets: whether sheets of images are made that the report has room for.

    Raises:
        TbarError: one line, for every error that can be found before the sweep.
    """
    started = time.perf_counter()
    with console.status("checking spec, data and store"):
        if planner is None:
            planner = Planner(spec)
            check_campaign(planner)
        scope.check(planner)
        store.check()
        check_writable(report)

    for line in planner.warnings:
        warn(console, line)
    store.remove_abandoned_scratch()
    remove_abandoned()
    ledger = Ledger(store, spec)
    recording = Recording(spec, tracking_uri, console, planner.foundation)
    share = None if scope.share is None else (scope.share.number, scope.share.of)
    lease = Lease(
        store,
        ledger.folder,
        force=force,
        on_lost=lambda: _leave("another launch has taken it over"),
        share=share,
    )

    def close(status: str) -> None:
        recording.close_now(status)
        lease.release()

    def lost(what: str) -> None:
        close("FAILED")
        _leave(f"{what}; what is in the store {store.url} is safe: run the same command again to continue")

    stopping = Stopping(lambda: close("KILLED"))
    trials = Trials(planner, ledger, recording, console, stopping, lost, scope, budget)
    status: str | None = "FAILED"
    records: list[TrialRecord] = []
    reported = records
    interrupted = True
    # Ray ends last: the report and MLflow's runs are complete by then, whatever its end does to this process
    with stopping, lease, ExitStack() as until_the_end:
        ledger.open()
        note_killed(store, ledger.folder, scope.name)
        before = set(store.list_folder("artifacts"))
        try:
            try:
                trials.run(address, until_the_end)
                recording.wait_until_open()
            except TrackingError:  # results do not depend on MLflow, and so the report does not
                known = trials.records()
                if known:
                    files = _report(spec, store, report, known, recording)
                    say(console, f"report: {len(files)} files in {report}")
                raise
            records = trials.records()
            interrupted = trials.interrupted()
            elsewhere = trials.elsewhere()
            reported = in_order([*records, *(record for record in elsewhere if record is not None)])
            ended = _status(reported, interrupted or trials.left_out > 0, None in elsewhere)
            whole = ended in ("FINISHED", "FAILED")
            maker = SheetMaker(spec, store, ledger.folder) if whole and sheets else None
            files = _report(spec, store, report, reported, recording, maker)
            status = ended
            if maker is not None:
                _tell_sheets(maker, console)
            say(console, f"report: {len(files)} files in {report}")
            if whole and log_models is not False:
                folder = until_the_end.enter_context(temporary("models"))
                log_best_models(spec, store, reported, recording, folder, partial(warn, console), wanted=log_models)
        finally:
            failed = sum(record.status == "failed" for record in reported)
            recording.finish(status, {"trials": len(reported), "failed": failed})
    seconds = time.perf_counter() - started
    account = account_of(records, before)
    return Launch(
        records,
        report,
        *recording.runs,
        interrupted,
        seconds,
        account,
        lost_attempts_of(store, ledger.folder),
        trials.refused,
        recording.failure,
    )


def _leave(line: str) -> None:
    """End the process, whatever it waits for, with one line."""
    sys.stderr.write(f"error: {line}\n")
    sys.stderr.flush()
    end_process(ExitCode.ERROR)


def _status(records: list[TrialRecord], unfinished: bool, awaited: bool) -> str | None:
    """How the parent run ends; None if it goes on, since other shares have trials that have not ended."""
    if unfinished:
        return "KILLED"
    if awaited:
        return None
    return "FAILED" if any(record.status == "failed" for record in records) else "FINISHED"


def _tell_sheets(maker: SheetMaker, console: Console) -> None:
    for line in maker.problems:
        warn(console, line)
    if maker.made:
        say(console, f"sheets: {maker.told}")


def _report(
    spec: CampaignSpec,
    store: Store,
    out: Path,
    records: list[TrialRecord],
    recording: Recording,
    sheets: KeptSheets | None = None,
) -> list[Path]:
    from tbar_ray.report.files import write_report

    files = write_report(spec, store, out, records, recording.pages, sheets)
    recording.log_report(files)
    trainings = dict.fromkeys(artifact for record in records for artifact in record.trainings.values())
    for artifact in trainings:
        if store.has(artifact):
            recording.log_training(store.facts(artifact))
    return files
