"""The data of a campaign as MLflow's data sets, the inputs of its run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from mlflow.entities import Dataset, DatasetInput, InputTag

from tbar_ray.planning.foundation import Foundation
from tbar_ray.redaction import redact
from tbar_ray.stages.data import GivenData, Located, Mixture
from tbar_ray.stages.node import Stage

CONTEXT = "mlflow.data.context"


def datasets_of(foundation: Foundation) -> list[DatasetInput]:
    """Training data, evaluation set and, where there are some, retrieval set and tasks: identified as stages know them.

    The digest is the fingerprint of what they hold; drawn data name their artifact in the store.
    """
    given: list[tuple[str, Located | None]] = [
        ("training", foundation.corpus),
        ("evaluation", foundation.evaluation),
        ("retrieval", foundation.retrieval),
        *((f"task {name}", task) for name, task in foundation.tasks.items()),
    ]
    return [
        DatasetInput(_dataset(part), [InputTag(CONTEXT, context)])
        for context, data in given
        if data is not None
        for part in _parts(data)
    ]


def _parts(data: Located) -> Iterator[Located]:
    if isinstance(data, Mixture):
        yield from data.parts
    else:
        yield data


def _dataset(data: Located) -> Dataset:
    profile: dict[str, Any]
    if isinstance(data, GivenData):
        name, source, profile = redact(data.place), {"uri": redact(data.place)}, {"samples": data.samples}
    else:
        assert isinstance(data, Stage)
        name, source, profile = data.title, {"artifact": data.artifact}, {"images": data.work or None}
    known = {what: count for what, count in profile.items() if count is not None}
    kind = "local" if isinstance(data, GivenData) else "store"
    return Dataset(
        name=name[-500:],
        digest=data.fingerprint,
        source_type=kind,
        source=json.dumps(source),
        profile=json.dumps(known) if known else None,
    )
