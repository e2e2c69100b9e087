"""The trials of one launch: those that the store has are read, the others run on Ray."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

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
from tbar_ray.records.objective import objective_values
from tbar_ray.records.record import TrialRecord
from tbar_ray.records.sources import SourceChanges
from tbar_ray.records.writing import UNREADABLE, RecordWriter
from tbar_ray.stages.node import Policy, Stage, stages_in_order
from tbar_ray.store.temporary import temporary
from tbar_ray.tracking.recording import Recording

if TYPE_CHECKING:
    from tbar_ray.search.proposals import Proposal, Proposals

PATIENCE = 10.0
"""Seconds that the sweep waits for its first stage to run; a cluster may have to start a host for it."""


@dataclass(frozen=True)
class Left:
    """What a launch has to run.

    Attributes:
        known: the trials that are known.
        rest: proposes further ones; None if these are all.
        total: how many there will be.
    """

    known: Sequence[Proposal]
    rest: Proposals | None
    total: int

    @cached_property
    def stages(self) -> int | None:
        """How many stages there will be; None if that is not known."""
        return len(stages_in_order(_outputs(self.known))) if self.rest is None else None

    def proposals(self) -> Proposals:
        """All of them, in their order."""
        from tbar_ray.search.proposals import GivenTrials, Resumed

        return Resumed(self.known, self.rest or GivenTrials(()))


class Trials:
    """The trials of one launch. Those that are in the store are read from it, without Ray; the others run on Ray.

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
        self.refused: str | None = None
        """The stage that the budget was not enough for, in one line."""
        self._handed_out, self._total = 0, 0
        self.left_out = 0
        """Number of this launch's trials that have no result and were not to be run."""
        self._elsewhere: set[str] = set()

    def run(self, address: str | None, until_the_end: ExitStack) -> None:
        """Run all trials, on a Ray that lasts as long as a stack."""
        grid = self._spec.search.sampler == "grid"
        proposals, total = self._listed() if grid else self._searched(until_the_end)
        known = self._replay(proposals, total)
        if grid:
            known = self._chosen(known)
            left = Left(known, None, len(known))
        else:
            left = Left(known, proposals, total - len(self._replayed))
        self._recording.check()
        if known:
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

    def _listed(self) -> tuple[Proposals, int]:
        """The trials of the grid that are this launch's, and their number."""
        from tbar_ray.search.proposals import GivenTrials

        grid = self._planner.grid()
        trials = self._scope.part(grid)
        self._elsewhere = {planned.fingerprint for planned in grid} - {planned.fingerprint for planned in trials}
        if self._scope.share is not None:
            self._say(f"share {self._scope.share} has {len(trials):,} of {counted(len(grid), 'trial')}")
        return GivenTrials(trials), len(trials)

    def _searched(self, until_the_end: ExitStack) -> tuple[Proposals, int]:
        """What a sampler proposes, whose study is kept in the store, and the number of trials."""
        from tbar_ray.search.samplers import build_proposals
        from tbar_ray.search.study_journal import StudyJournal

        scratch = until_the_end.enter_context(temporary("study"))
        journal = StudyJournal(self._store, self._ledger.folder, scratch)
        return build_proposals(self._planner, journal), searched_trials(self._spec)

    def _replay(self, proposals: Proposals, total: int) -> list[Proposal]:
        """Read the trials that are in the store, without Ray; return the remaining ones that are proposed so far.

        A sampler is told the results that it reads, and goes on from them.
        """
        writer = RecordWriter(self._store)
        left = []
        while (proposal := proposals.next()) is not None:
            planned = proposal.planned
            self._mend_sources(planned)
            record = self._known(writer, planned)
            if record is None:
                left.append(proposal)
                continue
            self._ledger.write(record)
            self._recording.log_trial(record, planned)
            self._replayed.append(record)
            self._keys.add(planned.fingerprint)
            proposal.tell(objective_values(record, planned.trial.spec.evaluation.min_retention))
        if self._replayed:
            which = "all" if len(self._replayed) == total else f"{len(self._replayed):,} of"
            self._say(f"{which} {total:,} trials are in the store {self._store.url}")
        return left

    def _chosen(self, left: list[Proposal]) -> list[Proposal]:
        """Those of the remaining trials that this launch is to run."""
        kept = {planned.fingerprint for planned in self._scope.chosen([one.planned for one in left], self._ledger)}
        chosen = [proposal for proposal in left if proposal.planned.fingerprint in kept]
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

    def _sweep(self, address: str | None, until_the_end: ExitStack, left: Left) -> None:
        """Run what is left on Ray: one that is started here lasts until the end."""
        address = resolve_address(address)
        if address != "local":
            check_reachable(address)  # before what takes seconds to import
        prepare(address)
        import ray

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
            if first := _outputs(left.known[:at_first]):
                coordinator.submit.remote("first", [], calls_for(first, Policy.of(spec.resources)))
                ray.wait([coordinator.wait_until_begun.remote()], timeout=PATIENCE)
            self._recording.open()
            stages = "" if left.stages is None else f", {counted(left.stages, 'stage')}"
            self._say(f"{counted(left.total, 'trial')} on {where}{stages}; store {self._store.url}; opening MLflow")
            self._recording.wait_until_open()
            self._hand_out(left, coordinator, concurrency, room)

    def _hand_out(self, left: Left, coordinator: Any, concurrency: int, room: Callable[[], int] | None) -> None:
        """Run what is left with Ray Tune, and show it.

        Args:
            left: the trials.
            coordinator: the actor that runs their stages.
            concurrency: trials in flight, at most.
            room: how many there may be now; None for `concurrency`.
        """
        import ray
        from ray.exceptions import RayError

        from tbar_ray.campaign.display import Display, Extent
        from tbar_ray.campaign.stage_graph import StageGraph
        from tbar_ray.execution.asking import ask
        from tbar_ray.search.searcher import CampaignSearcher
        from tbar_ray.search.sweep import sweep

        graph = StageGraph()
        if left.rest is None:
            graph.add(_outputs(left.known))

        def ended(record: TrialRecord, planned: PlannedTrial) -> None:
            self._recording.log_trial(record, planned)
            display.trial_ended(record)

        def begins(planned: PlannedTrial) -> None:
            self._mend_sources(planned)
            graph.add(planned.graph.outputs)

        searcher = CampaignSearcher(left.proposals(), coordinator, self._ledger, ended, begins, room)
        searcher.is_stopping = lambda: self._stopping.requested
        extent = Extent(left.total, left.stages, self._replayed)
        announcement = Announcement(self._store, self._ledger.folder, self._scope.name)
        with Display(
            self._console, coordinator, extent, graph, announcement, searcher.send_again, searcher.is_stopping
        ) as display:
            self._stopping.gently(True)
            try:
                sweep(searcher, left.total, concurrency, coordinator)
            finally:
                self._stopping.gently(False)
                with suppress(RayError):  # whatever ends the sweep, this is no reason to end it otherwise
                    announcement.lose(ray.get(coordinator.lost_attempts.remote(), timeout=PATIENCE))
                if searcher.over_budget:
                    self.refused = ask(coordinator.snapshot.remote).refused
                self._handed_out, self._total = len(searcher.handed_out), left.total
                self._keys.update(searcher.ended)
                self._left_to_do = set(searcher.handed_out) - searcher.ended

    def _spending(self) -> Spending | None:
        if self._budget is None:
            return None
        known = measured_rates(self._store, self._spec.model.architecture)
        return Spending(self._budget, time.time(), known)

    def _say(self, text: str) -> None:
        say(self._console, f"campaign {self._spec.name}: {text}")


def _outputs(proposals: Sequence[Proposal]) -> list[Stage]:
    """The stages that some trials wait for."""
    return [stage for proposal in proposals for stage in proposal.planned.graph.outputs]
