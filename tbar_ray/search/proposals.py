"""Sources of trials: a list, or studies that propose values and are given the results."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from tbar_ray.planning.planner import PlannedTrial

Objective = Mapping[str, float]
"""The result of a trial for a search, `records.objective.objective_values`; of a failed trial, what is known."""


@dataclass(frozen=True)
class Proposal:
    """A trial to run, and the function that takes its result."""

    planned: PlannedTrial
    tell: Callable[[Objective], None]


class Proposals(ABC):
    """Hands out trials."""

    @abstractmethod
    def next(self) -> Proposal | None:
        """The next trial; None while results are outstanding, and at the end."""


class GivenTrials(Proposals):
    """A grid: trials in their order, which wait for nothing."""

    def __init__(self, trials: Iterable[PlannedTrial]) -> None:
        self._trials = deque(trials)

    def next(self) -> Proposal | None:
        """The next trial of the list; None at the end."""
        return Proposal(self._trials.popleft(), lambda _: None) if self._trials else None


class Resumed(Proposals):
    """What is left of other proposals: those that were drawn from them already, then whatever they propose next.

    Args:
        drawn: the first, in their order.
        rest: where they come from.
    """

    def __init__(self, drawn: Iterable[Proposal], rest: Proposals) -> None:
        self._drawn, self._rest = deque(drawn), rest

    def next(self) -> Proposal | None:
        """One that was drawn, else the next."""
        return self._drawn.popleft() if self._drawn else self._rest.next()


class SeparateStudies(Proposals):
    """One study per method or attack, one after another: equal budgets, and none sees another's trials."""

    def __init__(self, studies: Iterable[Proposals], concurrency: int) -> None:
        self._studies = list(studies)
        self._concurrency = concurrency
        self._running = 0

    def next(self) -> Proposal | None:
        """A trial of the first study that is ready for one; None while none is or enough trials run, and at the end."""
        if self._running >= self._concurrency:
            return None
        for study in self._studies:
            if (proposal := study.next()) is not None:
                self._running += 1
                return Proposal(proposal.planned, lambda objective, tell=proposal.tell: self._ended(tell, objective))  # type: ignore[misc]
        return None

    def _ended(self, tell: Callable[[Objective], None], objective: Objective) -> None:
        self._running -= 1
        tell(objective)
