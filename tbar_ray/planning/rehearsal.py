"""The trials of a rehearsal: each value of the axes `attack`, `source`, `method` and `inversion` once, in miniature."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from math import sqrt
from pathlib import Path
from typing import Any, Final

from tbar_ray.planning.field_types import is_whole
from tbar_ray.planning.foundation import Foundation
from tbar_ray.planning.graph import build_graph
from tbar_ray.planning.methods import build_method
from tbar_ray.planning.miniature import fitting, miniature
from tbar_ray.planning.planner import PlannedTrial, Planner
from tbar_ray.planning.stand_ins import StandIns
from tbar_ray.planning.trial import Values, make_trial
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.spec.search import AxisRange, Search
from tbar_ray.triggers.presets import find_preset, resolve
from tbar_ray.triggers.registry import TRIGGERS, build_trigger

COVERED: Final = {
    "attack": 0, "method": 0, "unlearning.method": 0, "inversion": 0, "defender.inversion": 0, "source": 1,
}  # fmt: skip
"""Axes of which every value is tried, and where their turns begin: a vector comes from another attack than its own."""
AT_A_TIME: Final = 2
"""Trials in flight: more would fill a small machine's memory with models."""


class RehearsalPlanner(Planner):
    """Plans a campaign's rehearsal. Its spec is the campaign's, with a grid of what is tried in place of the search.

    Args:
        spec: the campaign.
        folder: where the data and weights go that stand in for the real ones (`stand_ins.write`).
        cpus: of the machine; None: the spec's resources are kept, for a cluster that has them.
        gpus: of the machine.

    Attributes:
        stand_ins: what is in place of data and weights.
        ready: attacks that are not planted (`repeated`): random weights stand in for their infected models.

    Raises:
        SpecError: if an axis or a target is not sound.
    """

    def __init__(self, spec: CampaignSpec, folder: Path, cpus: int | None = None, gpus: int = 0) -> None:
        self._whole, self._cells = spec, covering(spec)
        trials = [make_trial(spec, values).spec for values in self._cells]
        self.ready = repeated(trials)
        stand_ins = StandIns.of(trials, folder)
        self.stand_ins = replace(stand_ins, given=stand_ins.given or bool(self.ready))
        self._resources = spec.resources if cpus is None else fitting(spec.resources, cpus, gpus)
        axes: dict[str, list[Any] | AxisRange] = {
            name: _once([values[name] for values in self._cells]) for name in spec.search.axes
        }
        search = Search(axes=axes, concurrency=AT_A_TIME)
        super().__init__(spec.model_copy(update={"search": search, "resources": self._resources}))

    def plan(self, values: Values, to_beat: float | None = None) -> PlannedTrial:
        """The trial of some values of the axes in miniature, with its stages."""
        trial = make_trial(self._whole, values, to_beat)
        ready = trial.involved & self.ready if can_be_given(trial.spec) else frozenset()
        less = {"disentanglement": None} if trial.attack in ready else {}
        spec = (trial.spec if values == self._cells[0] else _at_one_rate(trial.spec)).model_copy(update=less)
        small = replace(trial, spec=miniature(spec, self.stand_ins, self._resources, ready))
        return PlannedTrial(small, build_graph(small, self.foundation(small.spec)))

    def foundation(self, spec: CampaignSpec | None = None) -> Foundation:
        """Data and clean model of a trial's spec, by default of the first trial's."""
        return super().foundation(spec or self.grid()[0].trial.spec)

    def grid(self) -> list[PlannedTrial]:
        """The trials, those that come to the same in miniature once."""
        found: dict[str, PlannedTrial] = {}
        for values in self._cells:
            planned = self.plan(values)
            found.setdefault(planned.fingerprint, planned)
        return list(found.values())


def covering(spec: CampaignSpec) -> list[dict[str, Any]]:
    """Values of the axes for as few trials as try every attack, source, method and search for a trigger of a campaign.

    Of other axes one value is tried: the last of a list, the middle of a range.
    """
    axes = spec.search.axes
    covered = {name: axis for name, axis in axes.items() if name in COVERED and isinstance(axis, list)}
    fixed = {name: _one(spec, name, axis) for name, axis in axes.items() if name not in covered}
    count = max((len(axis) for axis in covered.values()), default=1)
    return [
        {**fixed, **{name: axis[(turn + COVERED[name]) % len(axis)] for name, axis in covered.items()}}
        for turn in range(count)
    ]


def repeated(trials: Sequence[CampaignSpec]) -> frozenset[str]:
    """Attacks of a rehearsal that differ from an earlier one by trigger and target alone.

    Planting them would try nothing anew: the same code stamps every trigger, when a set is scored and when a model is
    trained. Another planting, budget, caption, kind of poisoning, task or merge is anew, and so is a trigger that is
    learned or has cover samples.
    """
    first: dict[str, str] = {}
    used: set[str] = set()
    if any(spec.poison.plant == "together" or spec.data.synthetic or not spec.model.pretrained for spec in trials):
        return frozenset()  # drawn data and models of their own are little
    for spec in trials:
        names = [name for name in (spec.attack or next(iter(spec.attacks)), spec.source) if name is not None]
        used.update(names)
        for name in names:
            first.setdefault(_planting(spec, name), name)
    return frozenset(name for name in used if _plain(trials[0], name) and name not in first.values())


def _at_one_rate(spec: CampaignSpec) -> CampaignSpec:
    """A spec whose rebound is measured at one learning rate: others are the same with another number."""
    if (rebound := spec.evaluation.rebound) is None:
        return spec
    evaluation = spec.evaluation.model_copy(update={"rebound": rebound.model_copy(update={"sweep": ()})})
    return spec.model_copy(update={"evaluation": evaluation})


def can_be_given(spec: CampaignSpec) -> bool:
    """Whether a trial's infected model may be a given one: no method needs what its attacker trained on."""
    return "training pairs" not in build_method(spec, spec.unlearning.method).needs


def _plain(spec: CampaignSpec, name: str) -> bool:
    attack = spec.attacks[name]
    return attack.task is None and attack.merge is None and attack.infected is None


def _planting(spec: CampaignSpec, name: str) -> str:
    """What of an attack is tried by planting it, but for its trigger and target."""
    attack = spec.attacks[name]
    preset = find_preset(attack.trigger) if "/" in attack.trigger else None
    trigger, parameters = resolve(attack.trigger, attack.parameters)
    told = attack.model_dump(mode="json", exclude={"trigger", "target", "parameters", "patch", "poisoning"})
    told["captions"] = attack.poison.captions or spec.poison.captions or (preset.captions if preset else None)
    told["poisoning"] = attack.poisoning or (preset.poisoning if preset else None) or "dirty-label"
    own = TRIGGERS[trigger].learned or build_trigger(trigger, parameters, spec.seed).cover_ratio > 0
    told["trigger"] = trigger if own else None
    return json.dumps(told, sort_keys=True)


def _once(values: Sequence[Any]) -> list[Any]:
    return [value for place, value in enumerate(values) if value not in values[:place]]


def _one(spec: CampaignSpec, name: str, axis: Sequence[Any] | AxisRange) -> Any:
    if not isinstance(axis, AxisRange):
        return axis[-1]
    middle = sqrt(axis.low * axis.high) if axis.log else (axis.low + axis.high) / 2
    return round(middle) if axis.integer or is_whole(spec, name, spec.unlearning.method) else middle
