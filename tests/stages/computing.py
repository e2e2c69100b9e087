"""Stages computed in the test's own process, without a campaign around them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tbar_ray.execution.stage_task import compute
from tbar_ray.planning.planner import Planner
from tbar_ray.records.record import TrialRecord
from tbar_ray.records.writing import RecordWriter
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.stages.node import Stage, stages_in_order
from tbar_ray.store.store import Store


def compute_all(last: Stage, store: Store) -> None:
    """Compute a stage and all that it needs and the store lacks."""
    for stage in stages_in_order([last]):
        if not store.has(stage.artifact):
            compute(stage, store)


def compute_trial(spec: CampaignSpec, values: Mapping[str, Any], store: Store) -> TrialRecord:
    """Compute the trial of some values of axes and return its record."""
    planned = Planner(spec).plan(values)
    for output in planned.graph.outputs:
        compute_all(output, store)
    return RecordWriter(store).finished(planned)
