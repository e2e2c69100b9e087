"""Stages computed in the test's own process, without a campaign around them."""

from __future__ import annotations

from tbar_ray.execution.executor import compute
from tbar_ray.planning.foundation import lay_foundation
from tbar_ray.planning.graph import build_graph
from tbar_ray.planning.trial import Trial
from tbar_ray.records.results import Record, finished_record
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.stages.node import Stage, stages_in_order
from tbar_ray.store.store import Store


def compute_all(last: Stage, store: Store) -> None:
    """Compute a stage and all that it needs and the store lacks."""
    for stage in stages_in_order([last]):
        if not store.has(stage.artifact):
            compute(stage, store)


def compute_trial(spec: CampaignSpec, trial: Trial, store: Store) -> Record:
    """Compute a trial and return its record."""
    graph = build_graph(spec, trial, lay_foundation(spec))
    compute_all(graph.path, store)
    return finished_record(spec, trial, graph, store)
