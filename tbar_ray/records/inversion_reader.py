"""Reading what a search found from the artifacts of its stages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tbar_ray.planning.graph import TrialGraph
from tbar_ray.records.inversion import InversionRecord, LikenessRecord
from tbar_ray.records.scores import RateRecord
from tbar_ray.stages.invert import PROXY
from tbar_ray.stages.likeness import LIKENESS
from tbar_ray.stages.node import Stage


def read_inversion(
    graph: TrialGraph,
    read: Callable[[Stage, str], dict[str, Any]],
    facts: Callable[[Stage], dict[str, Any]],
    known: Callable[[Stage], bool] = lambda _: True,
) -> InversionRecord | None:
    """What the search of a trial found; None where the defender is told the trigger, and before the search has ended.

    Args:
        graph: the trial's stages.
        read: gives a file of a stage's artifact.
        facts: gives a stage's facts.
        known: whether a stage has ended; of a failed trial not all have.
    """
    if graph.likeness is None or not known(search := graph.likeness.proxy.search):
        return None
    found, likeness = read(search, PROXY), graph.likeness
    return InversionRecord(
        inversion=search.search,
        score=found["score"],
        target=found["target"],
        named=found["named"],
        target_found=found["named"] and found["target"] == likeness.backdoor.target,
        shift=found["shift"],
        rate=None if found["rate"] is None else RateRecord(**found["rate"]),
        likeness=LikenessRecord(**read(likeness, LIKENESS)) if known(likeness) else None,
        seconds=facts(search)["seconds"],
    )
