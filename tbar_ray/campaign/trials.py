"""The trials of one launch: those that the store has are read, the others run on Ray."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from rich.console import Console

from tbar_ray.campaign.actors import coordinator_of, workers_ready
from tbar_ray.campaign.live import Announcement
from tbar_ray.campaign.saying import say
from tbar_ray.campaign.scope import EVERYTHING, Scope
from tbar_ray.campaign.stopping import Stopping
from tbar_ray.errors import StoreError
from tbar_ray.execution.budget import Budget, Spending
from tbar_ray.execution.ray_environment import prepare, resolve_address
from tbar_ray.execution.reach import check_reachable
from tbar_ray.naming import counted
from tbar_ray.planning.planner import PlannedTrial, Planner
from tbar_ray.planning.rates import measured_rates
from tbar_ray.planning.studies import searched_trials
from tbar_ray.records.ledger import Ledger, in_order
from tbar_ray.records.record import TrialRecord
from tbar_ray.records.sources import SourceChanges
from tbar_ray.records.writing import UNREADABLE, RecordWriter
from tbar_ray.stages.node import Policy, Stage, stages_in_order
from tbar_ray.store.temporary import temporary
from tbar_ray.tracking.recording import Recording

if TYPE_CHECKING:
    from tbar_ray.execution.calls import LostAttempt
    from tbar_ray.search.proposals import Proposals

PATIENCE = 10.0
"""Seconds that the sweep waits for its first stage to run; a cluster may have to start a host for it."""


class Trials:
    """The trials of one launch. Trials of a grid that are in the store are read from it; the others run on Ray.

    Args:
        planner: makes them from the spec.
        ledger: where their records go.
        recording: records them in MLflow.
        console: where the launch is shown.
        stopping: whether the launch is to end.
        on_lost: called with what was lost, when the cluster is.
        scope: which trials of a grid are run.
        budget: what they may cost; None for whatever they cost.
    """

    def __init__(
        self,
        planner: Planner,
        ledger: Ledger,
        recording: Recording,
        console: Console,
        stopping: Stopping,
        on_lost: Callable[[str], None],
        scope: Scope = EVERYTHING,
        budget: Budget | None = None,
    ) -> None:
        self._budget = budget
        self._planner, self._ledger, self._recording, self._console = planner, ledger, recording, console
        self._stopping, self._on_lost, self._scope = stopping, on_lost, scope
        self._spec, self._store = planner.spec, ledger.store
        self._sources = SourceChanges(self._store)
        self._keys: set[str] = set()
        self._replayed: list[TrialRecord] = []
        self._left_to_do: set[str] = set()
        self.lost_attempts: list[LostAttempt] = []
        """The attempts at stages that were cut off; those of a coordinator that was itself lost are not known."""
        self.refused: str | None = None
        """The stage that the budget was not enough for, in one line."""
        self._handed_out, self._total = 0, 0
        self.left_out = 0
        """Number of this launch's trials that have no result and were not to be run."""
        self._elsewhere: set[str] = set()

    def run(self, address: str | None, until_the_end: ExitStack) -> None:
        """Run all trials, on a Ray that lasts as long as a stack."""
        if self._spec.search.sampler != "grid":
            self._recording.check()
            self._sweep(address, until_the_end, None)
            return
        grid = self._planner.grid()
        trials = self._scope.part(grid)
        self._elsewhere = {planned.fingerprint for planned in grid} - {planned.fingerprint for planned in trials}
        if self._scope.share is not None:
            self._say(f"share {self._scope.share} has {len(trials):,} of {counted(len(grid), 'trial')}")
        left = self._chosen(self._replay(trials))
        self._recording.check()
        if left:
            self._sweep(address, until_the_end, left)

    def interrupted(self) -> bool:
        """Whether trials were not run: some were never handed out, or have not ended."""
        return self._handed_out < self._total or bool(self._left_to_do)

    def records(self) -> list[TrialRecord]:
        """Records of the trials that were replayed or have ended, each once, in table order."""
        found = (self._ledger.find(key) for key in self._keys)
        return in_order(record for record in found if record is not None)

    def elsewhere(self) -> list[TrialRecord | None]:
        """What other shares have of their trials: a record, or None where there is none yet."""
        return [self._told(key) for key in sorted(self._elsewhere)]

    def _told(self, key: str) -> TrialRecord | None:
        """A record of another launch; None where there is none that can be read, or its result is gone."""
        try:
            record = self._ledger.find(key)
        except StoreError:
            return None
        gone = record is not None and record.status != "failed" and not self._store.has(record.path_artifact)
        return None if gone else record

    def _replay(self, trials: list[PlannedTrial]) -> list[PlannedTrial]:
        """Read the trials of a grid that are in the store, without Ray; return the remaining ones."""
        writer = RecordWriter(self._store)
        left = []
        for planned in trials:
            self._mend_sources(planned)
            record = self._known(writer, planned)
            if record is None:
                left.append(planned)
                continue
            self._ledger.write(record)
            self._recording.log_trial(record, planned)
            self._replayed.append(record)
            self._keys.add(planned.fingerprint)
        if self._keys:
            which = "all" if not left else f"{len(self._keys)} of"
            self._say(f"{which} {len(trials)} trials are in the store {self._store.url}")
        return left

    def _chosen(self, left: list[PlannedTrial]) -> list[PlannedTrial]:
        """Those of the remaining trials that this launch is to run."""
        chosen = self._scope.chosen(left, self._ledger)
        self.left_out = len(left) - len(chosen)
        if self._scope.retry_failed:
            self._say(
                f"{counted(len(chosen), 'failed trial')} to run again; {self.left_out:,} not run yet are left out"
            )
        return chosen

    def _known(self, writer: RecordWriter, planned: PlannedTrial) -> TrialRecord | None:
        """Record of a trial, made from the store alone; None where an artifact is missing or broken."""
        if not all(self._store.has(stage.artifact) for stage in planned.graph.outputs):
            return None
        try:
            return writer.finished(planned)
        except (StoreError, *UNREADABLE):
            return None

    def _mend_sources(self, planned: PlannedTrial) -> None:
        for line in self._sources.discard_outdated(planned.graph.outputs):
            self._say(line)

    def _sweep(self, address: str | None, until_the_end: ExitStack, trials: list[PlannedTrial] | None) -> None:
        """Run the given trials on Ray, or those that a sampler proposes."""
        address = resolve_address(address)
        if address != "local":
            check_reachable(address)  # before what takes seconds to import
        prepare(address)
        import ray
        from ray.exceptions import RayError

        from tbar_ray.campaign.display import Display, Extent
        from tbar_ray.execution.asking import ask
        from tbar_ray.execution.calls import calls_for
        from tbar_ray.execution.cluster import ray_session
        from tbar_ray.execution.fair_share import most_of
        from tbar_ray.execution.fitting import misfit, nodes
        from tbar_ray.execution.watch import ClusterWatch

        spec, concurrency = self._spec, self._spec.search.concurrency
        room = None
        self._say("starting a local Ray" if address == "local" else f"joining the Ray cluster at {address}")
        where = until_the_end.enter_context(ray_session(address, spec))
        if (line := misfit(spec.resources, nodes())) is not None:  # an autoscaler may bring what is missing
            self._say(f"warning: {line} now; stages wait until there is")
        if concurrency == "auto":
            from tbar_ray.search.room import MOST, ClusterRoom

            room, concurrency = ClusterRoom(spec.resources), MOST
        at_first = concurrency if room is None else room()
        with (
            ClusterWatch(self._on_lost),
            workers_ready(at_first, spec.resources.max_cpus),
            coordinator_of(self._store, self._spending(), most_of(spec.resources), address != "local") as coordinator,
        ):
            # importing MLflow and Tune takes seconds of a core: what the first trials will ask for starts before
            first = self._first_stages(trials, at_first)
            if first:
                coordinator.submit.remote("first", [], calls_for(first, Policy.of(spec.resources)))
                ray.wait([coordinator.wait_until_begun.remote()], timeout=PATIENCE)
            self._recording.open()
            from tbar_ray.search.searcher import CampaignSearcher
            from tbar_ray.search.sweep import sweep

            total = searched_trials(spec) if trials is None else len(trials)
            every = None if trials is None else len(stages_in_order(_outputs(trials)))
            extent = Extent(total, every, self._replayed)
            stages = "" if extent.stages is None else f", {counted(extent.stages, 'stage')}"
            self._say(f"{counted(total, 'trial')} on {where}{stages}; store {self._store.url}; opening MLflow")
            proposals = self._proposals(trials, until_the_end)
            self._recording.wait_until_open()

            def ended(record: TrialRecord, planned: PlannedTrial) -> None:
                self._recording.log_trial(record, planned)
                display.trial_ended(record)

            searcher = CampaignSearcher(proposals, coordinator, self._ledger, ended, self._mend_sources, room)
            searcher.is_stopping = lambda: self._stopping.requested
            announcement = Announcement(self._store, self._ledger.folder, self._scope.name)
            with Display(
                self._console, coordinator, extent, announcement, searcher.send_again, searcher.is_stopping
            ) as display:
                self._stopping.gently(True)
                try:
                    sweep(searcher, total, concurrency, coordinator)
                finally:
                    self._stopping.gently(False)
                    with suppress(RayError):  # whatever ends the sweep, this is no reason to end it otherwise
                        self.lost_attempts = ray.get(coordinator.lost_attempts.remote(), timeout=PATIENCE)
                    if searcher.over_budget:
                        self.refused = ask(coordinator.snapshot.remote).refused
                    self._handed_out, self._total = len(searcher.handed_out), total
                    self._keys.update(searcher.ended)
                    self._left_to_do = set(searcher.handed_out) - searcher.ended

    def _proposals(self, trials: list[PlannedTrial] | None, until_the_end: ExitStack) -> Proposals:
        """The given trials, or those that a sampler proposes, whose study is kept in the store."""
        from tbar_ray.search.proposals import GivenTrials
        from tbar_ray.search.samplers import build_proposals
        from tbar_ray.search.study_journal import StudyJournal

        if trials is not None:
            return GivenTrials(trials)
        scratch = until_the_end.enter_context(temporary("study"))
        return build_proposals(self._planner, StudyJournal(self._store, self._ledger.folder, scratch))

    def _spending(self) -> Spending | None:
        if self._budget is None:
            return None
        known = measured_rates(self._store, self._spec.model.architecture)
        return Spending(self._budget, time.time(), known)

    def _first_stages(self, trials: list[PlannedTrial] | None, many: int) -> list[Stage]:
        """Stages that the first trials will need: for a grid the outputs of so many, for a search the model."""
        if trials is None:
            clean = self._planner.foundation().clean
            return [] if clean is None else stages_in_order([clean])[-1:]
        return _outputs(trials[:many])

    def _say(self, text: str) -> None:
        say(self._console, f"campaign {self._spec.name}: {text}")


def _outputs(trials: list[PlannedTrial]) -> list[Stage]:
    """The stages that some trials wait for."""
    return [stage for planned in trials for stage in planned.graph.outputs]
