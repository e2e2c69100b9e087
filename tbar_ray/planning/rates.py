"""How long stages of a kind took, and so how long another one is expected to take."""

from __future__ import annotations

from dataclasses import dataclass, field

from tbar_ray.store.store import Store


@dataclass
class _Sum:
    seconds: float = 0.0
    amount: float = 0.0

    def add(self, seconds: float, amount: float) -> None:
        self.seconds += seconds
        self.amount += amount

    @property
    def rate(self) -> float:
        return self.seconds / self.amount


@dataclass
class Rates:
    """What stages took, by kind: for an image where a stage tells its images, for a stage where it does not."""

    per_image: dict[str, _Sum] = field(default_factory=dict)
    per_stage: dict[str, _Sum] = field(default_factory=dict)

    def learn(self, kind: str, work: int, seconds: float) -> None:
        """A stage of so many images, 0 if it tells none, took so long."""
        of = self.per_image if work else self.per_stage
        of.setdefault(kind, _Sum()).add(seconds, work or 1)

    def seconds(self, kind: str, work: int) -> float | None:
        """How long a stage is expected to take; None where none like it was measured."""
        of = self.per_image if work else self.per_stage
        return of[kind].rate * (work or 1) if kind in of else None


def measured_rates(store: Store, architecture: str) -> Rates:
    """What the stages of a store took: those of an architecture, and those that compute on no model."""
    rates = Rates()
    for name in store.artifacts():
        facts = store.facts(name)
        if facts.get("architecture") in (None, architecture):
            rates.learn(facts["kind"], facts["work"], facts["seconds"])
    return rates
