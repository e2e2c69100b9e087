"""What a campaign would do: its trials and stages, what is in the store already, and a rough cost."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from tbar_ray.planning.planner import Planner
from tbar_ray.planning.studies import searched_trials
from tbar_ray.planning.trial import Trial
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.stages.node import Stage, stages_in_order
from tbar_ray.store.store import Store

EVALUATION_SPEEDUP = 3
"""A training step is a forward and a backward pass, and a backward pass costs about two forward ones."""


@dataclass(frozen=True)
class PlannedStage:
    """One stage: whether it is in the store, its images, and seconds where a similar stage was measured."""

    stage: Stage
    cached: bool
    seconds: float | None


@dataclass(frozen=True)
class Plan:
    """A campaign's trials (of a sampler: an example) and the stages that they need."""

    trials: list[Trial]
    total_trials: int
    stages: list[PlannedStage]

    @property
    def to_compute(self) -> list[PlannedStage]:
        """Stages that are not in the store, inputs first."""
        return [planned for planned in self.stages if not planned.cached]

    def to_dict(self, spec: CampaignSpec) -> dict[str, Any]:
        """The plan for JSON; `estimated_seconds` is null where a stage of some kind was never measured."""
        return {
            "campaign": spec.name,
            "sampler": spec.search.sampler,
            "trials": self.total_trials,
            "cells": [{**trial.settings, "alphas": list(trial.alphas)} for trial in self.trials],
            "cached": len(self.stages) - len(self.to_compute),
            "to_compute": len(self.to_compute),
            "estimated_seconds": total_seconds(self.to_compute),
            "stages": [
                {
                    "kind": planned.stage.kind,
                    "title": planned.stage.title,
                    "fingerprint": planned.stage.fingerprint,
                    "cached": planned.cached,
                    "images": planned.stage.work,
                    "estimated_seconds": planned.seconds,
                }
                for planned in self.stages
            ],
        }


def make_plan(planner: Planner, store: Store, images_per_second: float | None = None) -> Plan:
    """Lay out a campaign without computing anything.

    A sampler's trials are not known beforehand: its plan shows an example (one of each method where each has a search
    of its own) and the number. With `images_per_second` the cost is that of trainings at this speed, instead of what
    was measured.
    """
    spec = planner.spec
    grid = spec.search.sampler == "grid"
    trials = planner.grid() if grid else planner.examples()
    stages = stages_in_order([output for planned in trials for output in planned.graph.outputs])
    rates = measured_rates(store, spec.model.architecture)
    planned = [
        PlannedStage(
            stage,
            store.has(stage.artifact),
            _estimate(stage, rates) if images_per_second is None else _at_speed(stage, images_per_second),
        )
        for stage in stages
    ]
    return Plan([planned.trial for planned in trials], len(trials) if grid else searched_trials(spec), planned)


def measured_rates(store: Store, architecture: str) -> dict[str, float]:
    """Seconds per image (or per stage, where work is unknown) of each kind, from the store's records.

    Only stages of the same architecture count, and those that compute on no model.
    """
    seconds: dict[str, float] = defaultdict(float)
    work: dict[str, float] = defaultdict(float)
    for name in store.artifacts():
        facts = store.facts(name)
        if facts.get("architecture") in (None, architecture):
            seconds[facts["kind"]] += facts["seconds"]
            work[facts["kind"]] += facts["work"] or 1
    return {kind: seconds[kind] / work[kind] for kind in seconds}


def total_seconds(stages: list[PlannedStage]) -> float | None:
    """Sum of the estimates; None if one is unknown."""
    known = [planned.seconds for planned in stages if planned.seconds is not None]
    return sum(known) if len(known) == len(stages) else None


def _estimate(stage: Stage, rates: dict[str, float]) -> float | None:
    rate = rates.get(stage.kind)
    return None if rate is None else rate * (stage.work or 1)


def _at_speed(stage: Stage, images_per_second: float) -> float:
    trains = stage.trains
    return stage.work / (images_per_second * (1 if trains else EVALUATION_SPEEDUP))
