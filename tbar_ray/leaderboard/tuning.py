"""On which attacks the methods' hyper-parameters were chosen, by the campaign that searched them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tbar_ray.leaderboard.cell import TunedOn
from tbar_ray.planning.methods import used_attacks, used_methods
from tbar_ray.spec.attack import Attack
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.triggers.base import Trigger
from tbar_ray.triggers.presets import resolve
from tbar_ray.triggers.registry import build_trigger

SEARCHES: Mapping[str, str] = {"scenes": "tune_baselines", "photographs": "photographs/tune_baselines"}
"""The shipped campaigns that searched them, by data set."""


@dataclass(frozen=True)
class Tuning:
    """A search of hyper-parameters.

    Attributes:
        attacks: on which proposals were judged.
        proposals: for each method.
        methods: that had a search.
    """

    attacks: tuple[Attack, ...]
    proposals: int | None
    methods: frozenset[str]

    @classmethod
    def of(cls, spec: CampaignSpec) -> Tuning:
        """The search that a campaign is."""
        attacks = tuple(spec.attacks[name] for name in used_attacks(spec))
        return cls(attacks, spec.search.trials, frozenset(used_methods(spec)))

    def tuned_on(self, method: str, attack: Attack) -> TunedOn:
        """Whether a method's hyper-parameters were chosen on an attack.

        An attack is the same if trigger, its parameters and planting are: on other data too, since what suits a trigger
        may suit it there.
        """
        if method not in self.methods:
            return "not stated"
        same = [other for other in self.attacks if _trigger(other) == _trigger(attack)]
        if any(other.planting == attack.planting for other in same):
            return "attack"
        return "trigger" if same else "no"


def _trigger(attack: Attack) -> Trigger:
    """An attack's trigger with all its parameters; a spec gives those that differ from a preset or a default."""
    return build_trigger(*resolve(attack.trigger, attack.parameters), seed=0)
