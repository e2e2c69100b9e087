"""The trials of a campaign with their stages; each is planned once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import BaseModel

from tbar_ray.planning.foundation import Foundation, lay_foundation
from tbar_ray.planning.graph import TrialGraph, build_graph
from tbar_ray.planning.studies import studies_of
from tbar_ray.planning.trial import Trial, Values, grid, make_trial
from tbar_ray.redaction import redact_all
from tbar_ray.spec.campaign import CampaignSpec

OF_FOUNDATION = {"data", "model", "tasks", "resources"}
"""Sections that determine data and clean model."""
HOW_IT_RUNS = {"gpus", "readers", "checkpoint_minutes", "training_workers", "training_gpus", "max_cpus", "max_gpus"}
"""Resources that change no result, but for rounding."""


@dataclass(frozen=True)
class PlannedTrial:
    """A trial and the stages that answer it."""

    trial: Trial
    graph: TrialGraph

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits of what the trial computes; trials that compute the same have the same one."""
        results = ",".join(stage.fingerprint for stage in self.graph.results)
        return hashlib.sha256(results.encode()).hexdigest()[:16]


class Planner:
    """Plans the trials of one campaign.

    Args:
        spec: the campaign.
        without_data: missing data are assumed to exist: enough to plan, not to run.
    """

    def __init__(self, spec: CampaignSpec, *, without_data: bool = False) -> None:
        self.spec = spec
        self._without_data = without_data
        self._foundations: dict[str, Foundation] = {}
        self.notes: list[str] = []
        """What the preflight found odd, one line each."""

    def plan(self, values: Values, to_beat: float | None = None) -> PlannedTrial:
        """The trial of some values of the axes, with its stages.

        Raises:
            SpecError: if a value is not allowed.
            DataError: if given shards do not exist.
        """
        trial = make_trial(self.spec, values, to_beat)
        return PlannedTrial(trial, build_graph(trial, self.foundation(trial.spec)))

    def foundation(self, spec: CampaignSpec | None = None) -> Foundation:
        """Data and clean model of a trial's spec, or of the campaign's own; specs that agree in them share one.

        Raises:
            DataError: if given shards do not exist.
        """
        spec = spec or self.spec
        key = spec.model_dump_json(include=OF_FOUNDATION)
        if key not in self._foundations:
            self._foundations[key] = lay_foundation(spec, without_data=self._without_data)
        return self._foundations[key]

    def grid(self) -> list[PlannedTrial]:
        """Every cell of a grid once, at most `search.trials` of them."""
        found: dict[str, PlannedTrial] = {}
        for values in grid(self.spec):
            planned = self.plan(values)
            found.setdefault(planned.fingerprint, planned)
        return list(found.values())[: self.spec.search.trials]

    def examples(self) -> list[PlannedTrial]:
        """One trial that a sampler may propose, or one of each method or attack where each has its own search."""
        search = self.spec.search
        first = {name: axis[0] if isinstance(axis, list) else axis.low for name, axis in search.axes.items()}
        return [self.plan({**first, **study.fixed}) for study in studies_of(self.spec)]

    @property
    def missing(self) -> tuple[str, ...]:
        """The missing data of all planned trials, one line each."""
        return tuple(dict.fromkeys(line for base in self._foundations.values() for line in base.missing))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is odd about the data of all planned trials, one line each."""
        found = [line for base in self._foundations.values() for line in base.warnings]
        return tuple(dict.fromkeys([*found, *self.notes]))


def campaign_fingerprint(spec: CampaignSpec) -> str:
    """16 hex digits that change with what a campaign computes or how it searches, not where it runs.

    Fields that came later are counted where they are given, so that older campaigns keep their runs and reports.
    """
    content: Mapping[str, Any] = spec.model_dump(
        mode="json",
        exclude={
            "description": True,
            "resources": HOW_IT_RUNS,
            "evaluation": {
                "rebound": _absent(spec.evaluation.rebound, "eligible_only"),
                **_absent(spec.evaluation, "rebound", "downstream"),
            },
            "model": _absent(spec.model, "text_from", "synthetic"),
            "attacks": {name: _absent(attack, "text_from") for name, attack in spec.attacks.items()},
            "data": {**_absent(spec.data, "columns"), "synthetic": _absent(spec.data.synthetic, "wrong_captions")},
            "defender": _absent(spec.defender, "inversion", "believes"),
            **_absent(spec, "inversions", "beliefs"),
        },
    )
    return hashlib.sha256(json.dumps(redact_all(content), sort_keys=True).encode()).hexdigest()[:16]


def _absent(section: BaseModel | None, *later: str) -> dict[str, bool]:
    """Those fields of a section that specs did not have at first, and that it leaves out."""
    return {name: True for name in later if section is not None and not getattr(section, name)}
