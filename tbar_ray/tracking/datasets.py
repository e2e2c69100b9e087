"""The data of a campaign as MLflow's data sets, the inputs of its run."""

from __future__ import annotations

import json
from collections.abc import Iterator

from mlflow.entities import Dataset, DatasetInput, InputTag

from tbar_ray.planning.foundation import Foundation
from tbar_ray.redaction import redact
from tbar_ray.stages.data import (
    GivenData,
    Located,
    Mixture,
    SyntheticCorpus,
    SyntheticEvaluation,
    SyntheticRetrieval,
    SyntheticTask,
)

CONTEXT = "mlflow.data.context"
DRAWN = (SyntheticCorpus, SyntheticEvaluation, SyntheticRetrieval, SyntheticTask)
LONGEST = 500
"""Letters of a data set's name: the server's limit."""


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
    name, source_type, source, images = "", "", "", None
    if isinstance(data, GivenData):
        name, source_type, source, images = redact(data.place), "url", redact(data.place), data.samples
    elif isinstance(data, DRAWN):
        name, source_type, source, images = data.title, "store", data.artifact, data.work or None
    return Dataset(
        name=name[-LONGEST:],
        digest=data.fingerprint,
        source_type=source_type,
        source=json.dumps({"uri": source}),
        profile=None if images is None else json.dumps({"images": images}),
    )
