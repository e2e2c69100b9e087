"""What a campaign would do: its trials and stages, what is in the store already, and a rough cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from tbar_ray.planning.planner import Planner
from tbar_ray.planning.rates import measured_rates
from tbar_ray.planning.studies import searched_trials
from tbar_ray.planning.trial import Trial
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.stages.node import PROCESS, Policy, Stage, stages_in_order
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
class Takes:
    """What a stage takes of a node, or the most that any of some stages takes.

    Attributes:
        cpus: CPUs of the stage, or of each of a training's workers.
        gpus: GPUs of the same; a fraction shares one.
        workers: of a training that is divided, on one node or on several.
        memory: bytes of the CPU's memory, an estimate from below.
        disk: bytes that it writes, roughly.
    """

    cpus: int = 1
    gpus: float = 0
    workers: int = 1
    memory: int = 0
    disk: int = 0

    @classmethod
    def of(cls, stage: Stage, policy: Policy) -> Takes:
        """What one stage takes where stages run by a policy."""
        given = policy.for_stage(stage)
        memory = PROCESS + stage.memory(given)
        return cls(stage.threads, given.gpus, given.training_workers, memory, stage.disk)

    @classmethod
    def most(cls, several: Iterable[Takes]) -> Takes:
        """The most of each."""
        found = cls()
        for takes in several:
            pairs = zip(asdict(found).values(), asdict(takes).values(), strict=True)
            found = cls(*(max(mine, its) for mine, its in pairs))
        return found


@dataclass(frozen=True)
class Plan:
    """A campaign's trials (of a sampler: an example) and the stages that they need."""

    trials: list[Trial]
    total_trials: int
    stages: list[PlannedStage]
    policy: Policy

    @property
    def least_node(self) -> Takes:
        """What a node must have, so that each of the stages that are to be computed finds one."""
        return Takes.most(Takes.of(planned.stage, self.policy) for planned in self.to_compute)

    def hours(self) -> tuple[float, float] | None:
        """CPU- and GPU-hours of the stages that are to be computed; None if the time of one is not known."""
        if total_seconds(self.to_compute) is None:
            return None
        takes = [(planned.seconds or 0, Takes.of(planned.stage, self.policy)) for planned in self.to_compute]
        cpu = sum(seconds * each.cpus * each.workers for seconds, each in takes)
        gpu = sum(seconds * each.gpus * each.workers for seconds, each in takes)
        return cpu / 3600, gpu / 3600

    def wall_clock(self, cpus: int) -> float | None:
        """Seconds on so many CPUs at least: each one's share of all work, or the longest chain of stages."""
        hours = self.hours()
        if hours is None:
            return None
        ends: dict[str, float] = {}
        for planned in self.stages:  # inputs come first
            begins = max((ends[needed.fingerprint] for needed in planned.stage.needed_stages()), default=0.0)
            ends[planned.stage.fingerprint] = begins + (0 if planned.cached else planned.seconds or 0)
        return max(hours[0] * 3600 / cpus, *ends.values())

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
            "least_node": asdict(self.least_node),
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
            rates.seconds(stage.kind, stage.work) if images_per_second is None else _at_speed(stage, images_per_second),
        )
        for stage in stages
    ]
    total = len(trials) if grid else searched_trials(spec)
    return Plan([each.trial for each in trials], total, planned, Policy.of(spec.resources))


def total_seconds(stages: list[PlannedStage]) -> float | None:
    """Sum of the estimates; None if one is unknown."""
    known = [planned.seconds for planned in stages if planned.seconds is not None]
    return sum(known) if len(known) == len(stages) else None


def _at_speed(stage: Stage, images_per_second: float) -> float:
    trains = stage.trains
    return stage.work / (images_per_second * (1 if trains else EVALUATION_SPEEDUP))
