"""The samplers by name, and the studies that ask them. A new sampler is one line here and its name in the spec."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import fsum, isfinite
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from tbar_ray.planning.field_types import is_whole
from tbar_ray.planning.planner import Planner
from tbar_ray.planning.studies import Study, cells_of, studies_of
from tbar_ray.search.proposals import GivenTrials, Objective, Proposal, Proposals, SeparateStudies
from tbar_ray.search.study_journal import StudyJournal
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.spec.search import AxisRange

optuna.logging.set_verbosity(optuna.logging.WARNING)

SAMPLERS: Mapping[str, Callable[[int, int], optuna.samplers.BaseSampler]] = {
    "random": lambda seed, _batch: optuna.samplers.RandomSampler(seed=seed),
    "tpe": lambda seed, batch: optuna.samplers.TPESampler(seed=seed, n_startup_trials=8, constant_liar=batch > 1),
    "gp": lambda seed, _batch: optuna.samplers.GPSampler(seed=seed, deterministic_objective=True),
    "nsga2": lambda seed, batch: optuna.samplers.NSGAIISampler(seed=seed, population_size=max(4, 2 * batch)),
}


@dataclass(frozen=True)
class Goal:
    """What Optuna is told of a trial, all of it metrics of `objective_values`.

    Attributes:
        directions: of the objectives, by their metrics.
        constraint: above 0 where a trial is infeasible.
    """

    directions: Mapping[str, str]
    constraint: str


GOALS: Mapping[str, Goal] = {
    "asr": Goal({"penalised_asr": "minimize"}, "ca_missing"),
    "tradeoff": Goal({"ca": "maximize", "asr": "minimize"}, "ca_missing"),
    "infected_asr": Goal({"infected_asr": "maximize"}, "infected_ca_missing"),
}
"""By `search.objective`."""


class StudyProposals(Proposals):
    """An Optuna study that proposes trials in whole batches.

    A batch is requested at once, and Optuna is given its results together, in the order of proposal. The proposals
    therefore depend on the seed, the batch size and the results, and never on which trial happened to finish first:
    running a campaign again proposes the same trials, and finds them in the store. With `search.prune` a proposal
    carries the least objective of the batches before, which a trial is given up against. With `search.mean_over` each
    of Optuna's trials is several of the campaign, one a cell, and its value is their mean; it fails if one fails, and
    is infeasible if one keeps too little CA. A trial fails that has no value of what is searched: one whose attack did
    not take has the attacker's.
    """

    def __init__(self, planner: Planner, searched: Study, journal: StudyJournal | None = None) -> None:
        spec = planner.spec
        search = spec.search
        assert search.trials is not None
        self._planner, self._fixed = planner, searched.fixed
        goal = GOALS[search.objective]
        self._metrics, self._constraint = tuple(goal.directions), goal.constraint
        sampler = SAMPLERS[search.sampler](spec.seed, search.batch)
        name = " ".join([spec.name, *map(str, searched.fixed.values())])
        self._study = optuna.create_study(directions=list(goal.directions.values()), sampler=sampler, study_name=name)
        self._journal = journal
        if journal is not None:
            journal.begin(self._study, self._metrics)
        self._space = {name: _distribution(spec, name, axis, searched.fixed) for name, axis in searched.axes.items()}
        self._batch, self._left, self._prune = search.batch, search.trials, search.prune
        self._least: float | None = None
        self._cells = cells_of(spec)
        self._proposed: deque[tuple[optuna.Trial, dict[str, Any]]] = deque()
        self._open: dict[optuna.Trial, list[Objective]] = {}
        self._outstanding = 0

    def next(self) -> Proposal | None:
        """The next trial; None while results of the current batch are outstanding, and at the end."""
        if not self._proposed:
            if self._open or not self._left:
                return None
            size = min(self._batch, self._left)
            self._left -= size
            asked = [self._study.ask(fixed_distributions=self._space) for _ in range(size)]
            self._open = {trial: [] for trial in asked}
            self._proposed.extend((trial, cell) for trial in asked for cell in self._cells)
            self._outstanding = len(self._proposed)
        trial, cell = self._proposed.popleft()
        planned = self._planner.plan({**trial.params, **cell, **self._fixed}, self._least if self._prune else None)
        trial.set_user_attr("trials", [*trial.user_attrs.get("trials", []), planned.fingerprint])
        return Proposal(planned, lambda objective: self._ended(trial, objective))

    def _ended(self, asked: optuna.Trial, objective: Objective) -> None:
        """Keep a result; tell Optuna once the whole batch has ended."""
        self._open[asked].append(objective)
        self._outstanding -= 1
        if self._outstanding:
            return
        for trial, found in self._open.items():
            whole = [one for one in found if one.keys() >= set(self._metrics)]
            # fsum: the order in which trials end must not change the mean
            values = [fsum(one[metric] for one in whole) / len(found) for metric in self._metrics]
            # a study would wait for a trial without a number
            if len(whole) < len(found) or not all(map(isfinite, values)):
                self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
                continue
            if all(self._constraint in one for one in whole):
                trial.set_constraint(self._constraint, max(one[self._constraint] for one in whole))
            self._study.tell(trial, values)
            # 1 and more: too little CA is left, which any trial beats that retains enough
            if self._prune and values[0] < min(1.0, self._least if self._least is not None else 1.0):
                self._least = values[0]
        if self._journal is not None:
            self._journal.add(self._study, [trial.number for trial in self._open])
        self._open = {}


def build_proposals(planner: Planner, journal: StudyJournal | None = None) -> Proposals:
    """Proposals of a spec whose sampler is not `grid`: of one study, or of one for each method or attack.

    Args:
        planner: of the campaign.
        journal: keeps the studies, so that others can look at them.
    """
    spec = planner.spec
    if spec.search.studied is None:
        (only,) = studies_of(spec)
        return StudyProposals(planner, only, journal)
    studies: list[Proposals] = []
    for study in studies_of(spec):
        # a study without anything to search has one proposal
        once = [planner.plan({**cell, **study.fixed}) for cell in cells_of(spec)]
        studies.append(StudyProposals(planner, study, journal) if study.axes else GivenTrials(once))
    return SeparateStudies(studies, spec.search.batch)


def _distribution(
    spec: CampaignSpec, name: str, axis: list[Any] | AxisRange, fixed: Mapping[str, Any]
) -> BaseDistribution:
    """Optuna's distribution of an axis; whole-number ranges include both ends."""
    if isinstance(axis, list):
        return CategoricalDistribution(axis)
    method = str(fixed.get("method", spec.unlearning.method))
    if axis.integer or is_whole(spec, name, method):
        return IntDistribution(int(axis.low), int(axis.high), log=axis.log)
    return FloatDistribution(axis.low, axis.high, log=axis.log)
