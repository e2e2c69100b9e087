"""What a launch may cost: hours of CPUs or GPUs, and the stage that would go past them."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import Literal

from tbar_ray.errors import SpecError
from tbar_ray.execution.calls import StageCall
from tbar_ray.planning.rates import Rates
from tbar_ray.records.account import HOUR

Unit = Literal["CPU", "GPU"]


@dataclass(frozen=True)
class Budget:
    """Hours of CPUs or GPUs that a launch may take. A stage that shares a GPU takes its fraction."""

    hours: float
    unit: Unit

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Read '20gpuh' or '300cpuh'.

        Raises:
            SpecError: one line, if it is neither.
        """
        found = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+)\s*(cpu|gpu)h", text.strip().lower())
        if found is None or float(found[1]) == 0:
            raise SpecError(f"--budget {text}: give hours of GPUs or CPUs above 0, for example 20gpuh or 300cpuh")
        return cls(float(found[1]), "GPU" if found[2] == "gpu" else "CPU")

    def __str__(self) -> str:
        return f"{self.hours:g} {self.unit}-hours"


@dataclass
class Spending:
    """What the stages of a launch have cost, and will.

    Stages that run count with what they are expected to cost, or with what they have cost, if that is more. The
    expectation is that of stages of the same kind: those in the store at first, and those that end.

    Args:
        budget: what may be spent.
        since: when the launch began, in seconds since the epoch.
        measured: what stages in the store took.
    """

    budget: Budget
    since: float
    measured: Rates = field(default_factory=Rates)
    spent: float = 0.0
    """Hours of the stages that have ended."""

    def __post_init__(self) -> None:
        self._running: dict[str, tuple[StageCall, float]] = {}
        self._own = Rates()

    def hours_of(self, call: StageCall, seconds: float) -> float:
        """Hours of the budget's unit that so many seconds of a stage take."""
        return seconds * call.takes[self.budget.unit] / HOUR

    def expected(self, call: StageCall) -> float:
        """Hours that a stage is expected to take; 0 where no stage of its kind was measured."""
        known = (rates.seconds(call.kind, call.work) for rates in (self._own, self.measured))
        return self.hours_of(call, next((seconds for seconds in known if seconds is not None), 0.0))

    def committed(self) -> float:
        """Hours that are spent, and that the running stages will have taken."""
        now = time.time()
        running = (max(self.expected(call), self.hours_of(call, now - start)) for call, start in self._running.values())
        return self.spent + sum(running)

    def refuses(self, call: StageCall) -> str | None:
        """Why a stage is not to be started, in one line; None if it is."""
        expected, committed = self.expected(call), self.committed()
        takes = self.hours_of(call, 1) > 0
        if not takes or (committed < self.budget.hours and committed + expected <= self.budget.hours):
            return None
        return (
            f"{call.title} would go past the budget of {self.budget}: {committed:.3g} are spent or promised, and it "
            f"takes about {expected:.3g}"
        )

    def begin(self, call: StageCall) -> None:
        """A stage is started."""
        self._running[call.fingerprint] = call, time.time()

    def end(self, call: StageCall, seconds: float | None) -> None:
        """A stage has ended, after so many seconds; None if it did not run."""
        self._running.pop(call.fingerprint, None)
        if seconds is None:
            return
        self.spent += self.hours_of(call, seconds)
        self._own.learn(call.kind, call.work, seconds)

    def lose(self, call: StageCall, seconds: float) -> None:
        """An attempt at a stage was cut off after so many seconds; the stage is tried again."""
        self.spent += self.hours_of(call, seconds)
        self.begin(call)

    def found(self, call: StageCall, ended: float, seconds: float) -> None:
        """A stage was in the store; one that ended since the launch began was paid by it, before a restart."""
        if ended >= self.since:
            self.end(call, seconds)
