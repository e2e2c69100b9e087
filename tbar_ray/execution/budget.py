"""What a launch may cost: hours of CPUs or GPUs, and the stage that would go past them."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tbar_ray.errors import SpecError
from tbar_ray.execution.calls import StageCall
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
        seconds_per_image: of stages that were measured before, by kind; by stage where a kind has no images.
    """

    budget: Budget
    since: float
    seconds_per_image: Mapping[str, float] = field(default_factory=dict)
    spent: float = 0.0
    """Hours of the stages that have ended."""

    def __post_init__(self) -> None:
        self._running: dict[str, tuple[StageCall, float]] = {}
        self._seconds: dict[str, float] = {}
        self._images: dict[str, float] = {}

    def hours_of(self, call: StageCall, seconds: float) -> float:
        """Hours of the budget's unit that so many seconds of a stage take."""
        given = call.policy.gpus * call.policy.training_workers if self.budget.unit == "GPU" else call.cpus
        return seconds * given / HOUR

    def expected(self, call: StageCall) -> float:
        """Hours that a stage is expected to take; 0 where no stage of its kind was measured."""
        kind = call.kind
        if kind in self._images:
            rate = self._seconds[kind] / self._images[kind]
        else:
            rate = self.seconds_per_image.get(kind, 0.0)
        return self.hours_of(call, rate * (call.work or 1))

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
        self._seconds[call.kind] = self._seconds.get(call.kind, 0.0) + seconds
        self._images[call.kind] = self._images.get(call.kind, 0.0) + (call.work or 1)

    def found(self, call: StageCall, ended: float, seconds: float) -> None:
        """A stage was in the store; one that ended since the launch began was paid by it, before a restart."""
        if ended >= self.since:
            self.end(call, seconds)
