"""What an attacker plants: a trigger with its parameters and seed, and the target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from tbar_ray.data.poison import Poisoning
from tbar_ray.stages.node import INSIGNIFICANT, Given, Node
from tbar_ray.store.store import Store

if TYPE_CHECKING:
    from tbar_ray.triggers.base import Trigger

PIXELS = "pixels.json"
"""File of an optimised patch: the parameters that it gives to its trigger."""


class Backdoor(Given):
    """One backdoor, as data: the trigger is built where it is used."""

    kind: ClassVar[str] = "backdoor"

    trigger: str
    parameters: dict[str, Any]
    seed: int
    target: str
    learned: Node | None = None
    """The stage that optimises the trigger's pattern, where it has one."""

    def identity(self) -> dict[str, Any]:
        """Add the version of a trigger that once stamped something else."""
        from tbar_ray.triggers.registry import TRIGGERS

        known = TRIGGERS.get(self.trigger)
        later = {} if known is None or known.version == 1 else {"trigger_version": known.version}
        return {**super().identity(), **later}

    def build(self, store: Store) -> Trigger:
        """The trigger; a learned one with the parameters that its stage found."""
        from tbar_ray.stages.node import Stage
        from tbar_ray.triggers.registry import build_trigger

        learned: dict[str, Any] = {}
        if isinstance(self.learned, Stage):
            learned = store.read_json(f"artifacts/{self.learned.artifact}/{PIXELS}")
        return build_trigger(self.trigger, {**self.parameters, **learned}, self.seed)

    def target_in(self, store: Store) -> str:  # noqa: ARG002 - for subclasses
        """The target; of a trigger that a search found, what the search named."""
        return self.target


class Plant(Given):
    """A backdoor and how many samples are poisoned with it."""

    kind: ClassVar[str] = "plant"

    attack: Annotated[str, INSIGNIFICANT]
    """The attack's name in the spec, for tables only."""
    backdoor: Backdoor
    rate: float | None
    count: int | None
    captions: str
    poisoning: Poisoning

    def amount(self, samples: int) -> int:
        """Number of poisoned samples among a number of samples: the count, or the rate of them, rounded."""
        return self.count if self.count is not None else round((self.rate or 0) * samples)
