"""Rebound read from the artifacts of a trial's stages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tbar_ray.planning.graph import TrialGraph
from tbar_ray.records.rebound import ReboundCurve, ReboundRecord
from tbar_ray.stages.node import Stage
from tbar_ray.stages.rebound import REBOUND


def read_rebounds(
    graph: TrialGraph, read: Callable[[Stage, str], dict[str, Any]], facts: Callable[[Stage], dict[str, Any]]
) -> Iterator[ReboundRecord]:
    """Yield a record for each learning rate, the spec's own first.

    Args:
        graph: a trial's, all of whose stages have ended.
        read: gives the content of a stage's file.
        facts: gives what the store holds of a stage.
    """
    for stages in graph.rebounds:
        curves = {name: read(stage, REBOUND) for name, stage in stages.items()}
        removed = stages["removed"]
        yield ReboundRecord(
            learning_rate=removed.options.learning_rate,
            pairs=facts(removed)["facts"].get("pairs"),
            **{name: ReboundCurve.model_validate(content) for name, content in curves.items() if content},
        )
