"""The samplers by name, and the space that they search. A new sampler is one line here and its name in the spec."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import optuna
from ray import tune
from ray.tune.search import Searcher
from ray.tune.search.optuna import OptunaSearch
from ray.tune.utils.util import unflatten_dict

from tbar_ray.planning.axes import AXES, AxisRange
from tbar_ray.planning.methods import is_integer, split_axis, used_methods
from tbar_ray.spec.campaign import CampaignSpec

optuna.logging.set_verbosity(optuna.logging.WARNING)

SAMPLERS: Mapping[str, Callable[[int, int], optuna.samplers.BaseSampler]] = {
    "random": lambda seed, _batch: optuna.samplers.RandomSampler(seed=seed),
    "tpe": lambda seed, batch: optuna.samplers.TPESampler(seed=seed, n_startup_trials=8, constant_liar=batch > 1),
    "gp": lambda seed, _batch: optuna.samplers.GPSampler(seed=seed, deterministic_objective=True),
    "nsga2": lambda seed, batch: optuna.samplers.NSGAIISampler(seed=seed, population_size=max(4, 2 * batch)),
}


class BatchedOptunaSearch(OptunaSearch):  # type: ignore[misc]
    """Ray Tune's Optuna searcher, proposing trials in whole batches.

    A batch is asked for at once, and Optuna is told its results together, in the order of proposal. What is
    proposed therefore depends on the seed, the batch size and the results, and never on which trial happened
    to finish first: running a campaign again proposes the same trials, and finds them in the store. With `prune` a
    proposal carries the least objective of the batches before, which a trial is given up against.
    """

    def __init__(self, space: dict[str, Any], *, batch: int, total: int, prune: bool = False, **options: Any) -> None:
        super().__init__(space, **options)
        self._prune = prune
        self._least: float | None = None
        self._batch = batch
        self._left = total
        self._proposed: deque[Any] = deque()
        self._open: dict[str, tuple[Any, bool] | None] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """Return the next trial's values, or None while results of the current batch are outstanding."""
        if not self._proposed:
            if self._open or not self._left:
                return None
            size = min(self._batch, self._left)
            self._left -= size
            self._proposed.extend(self._ot_study.ask(fixed_distributions=self._space) for _ in range(size))
        proposal = self._proposed.popleft()
        self._ot_trials[trial_id] = proposal
        self._open[trial_id] = None
        values: dict[str, Any] = unflatten_dict(proposal.params)
        return values if self._least is None else {**values, "to_beat": self._least}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Keep a result; tell Optuna once the whole batch has ended."""
        if trial_id in self._open:
            self._open[trial_id] = (result, error)
        if self._proposed or any(ended is None for ended in self._open.values()):
            return
        ended_trials, self._open = self._open, {}
        for ended_id, ended in ended_trials.items():
            assert ended is not None
            super().on_trial_complete(ended_id, result=ended[0], error=ended[1])
            value = ended[0][self._metric] if self._prune and ended[0] and not ended[1] else None
            # 1 and more: too little CA is left, which any trial beats that retains enough
            if value is not None and value < min(1.0, self._least if self._least is not None else 1.0):
                self._least = float(value)


class NothingToSearch(Searcher):  # type: ignore[misc]
    """One trial without a choice: a method none of whose parameters is searched."""

    def __init__(self) -> None:
        super().__init__()
        self._left = 1

    def suggest(self, trial_id: str) -> dict[str, Any] | None:  # noqa: ARG002
        """Return the trial, once."""
        self._left -= 1
        return {} if self._left >= 0 else None

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Nothing follows from it."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing is kept."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing was kept."""


class StudyPerMethod(Searcher):  # type: ignore[misc]
    """A search of its own for every method, one after the other: equal budgets, and no method sees another's trials."""

    def __init__(self, studies: Mapping[str, Searcher], concurrency: int) -> None:
        super().__init__()
        self._studies = studies
        self._concurrency = concurrency
        self._running: dict[str, str] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """Return a trial of the first method whose search is ready for one; None while all wait for results."""
        if len(self._running) >= self._concurrency:
            return None
        for method, study in self._studies.items():
            values = study.suggest(trial_id)
            if values is not None:
                self._running[trial_id] = method
                return {**values, "method": method}
        return None

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tell the method's own search."""
        method = self._running.pop(trial_id, None)
        if method is not None:
            self._studies[method].on_trial_complete(trial_id, result, error)

    def save(self, checkpoint_path: str) -> None:
        """Nothing is kept: a campaign resumes from the store."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing was kept."""


def searched_trials(spec: CampaignSpec) -> int:
    """Return the number of trials of a search; a method without anything to search has one."""
    assert spec.search.trials is not None
    if spec.search.study == "whole":
        return spec.search.trials
    return sum(spec.search.trials if _axes_of(spec, method) else 1 for method in used_methods(spec))


def build_searcher(spec: CampaignSpec) -> Searcher:
    """Return the searcher of a spec whose sampler is not `grid`."""
    total = spec.search.trials
    assert total is not None
    if spec.search.study == "whole":
        return _study(spec, dict(spec.search.axes), total)
    axes = {method: _axes_of(spec, method) for method in used_methods(spec)}
    studies = {method: _study(spec, own, total) if own else NothingToSearch() for method, own in axes.items()}
    return StudyPerMethod(studies, spec.search.concurrency)


def _axes_of(spec: CampaignSpec, method: str) -> dict[str, list[Any] | AxisRange]:
    """Return the axes of one method's search: without the method, and without other methods' parameters."""
    return {
        name: axis
        for name, axis in spec.search.axes.items()
        if name != "method" and (split_axis(name) is None or name.startswith(f"{method}."))
    }


def _study(spec: CampaignSpec, axes: Mapping[str, list[Any] | AxisRange], total: int) -> BatchedOptunaSearch:
    search = spec.search
    both = search.objective == "tradeoff"
    metric: str | list[str] = ["ca", "asr"] if both else "penalised_asr"
    mode: str | list[str] = ["max", "min"] if both else "min"
    domains = {name: _domain(axis, _whole(spec, name, axis)) for name, axis in axes.items()}
    return BatchedOptunaSearch(
        OptunaSearch.convert_search_space(domains),
        batch=search.concurrency,
        total=total,
        prune=search.prune,
        metric=metric,
        mode=mode,
        sampler=SAMPLERS[search.sampler](spec.seed, search.concurrency),
    )


def _whole(spec: CampaignSpec, name: str, axis: list[Any] | AxisRange) -> bool:
    """Whether a range has whole numbers only."""
    if isinstance(axis, AxisRange) and axis.integer:
        return True
    return is_integer(spec, name) if split_axis(name) else AXES[name].kind == "integer"


def _domain(axis: list[Any] | AxisRange, integer: bool) -> Any:
    """Return Ray Tune's domain of an axis; whole-number ranges include both ends."""
    if isinstance(axis, list):
        return tune.choice(axis)
    if integer:
        low, high = int(axis.low), int(axis.high) + 1
        return tune.lograndint(low, high) if axis.log else tune.randint(low, high)
    return tune.loguniform(axis.low, axis.high) if axis.log else tune.uniform(axis.low, axis.high)
