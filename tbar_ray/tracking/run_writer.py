"""Writing runs in few requests: a campaign has thousands, and MLflow's client is most of what a driver does."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from tbar_ray.store.temporary import temporary
from tbar_ray.tracking.run_parameters import Parameters
from tbar_ray.tracking.same_row import write_beside_others

ItemT = TypeVar("ItemT")
MOST_AT_ONCE = 1000
"""Metrics, parameters and tags in one request: the server's limit."""
PARAMETERS_AT_ONCE = 100
"""Parameters in one request, likewise."""


@dataclass(frozen=True)
class OwnRun:
    """A trial's or training's run; `started` is in ms since the epoch, `artifacts` the URI of its artifacts."""

    run_id: str
    status: str
    started: int
    artifacts: str

    @classmethod
    def of(cls, run: Run) -> OwnRun:
        """What MLflow says of a run."""
        info = run.info
        return cls(info.run_id, info.status, info.start_time, info.artifact_uri)


class RunWriter:
    """Creates, fills and closes the runs of an experiment."""

    def __init__(self, client: MlflowClient, uri: str, experiment: str) -> None:
        self._client, self._uri, self._experiment = client, uri, experiment

    def create(self, name: str, started: float, tags: Mapping[str, str]) -> OwnRun:
        """A new run; `started` is in seconds since the epoch."""
        return OwnRun.of(self._client.create_run(self._experiment, int(started * 1000), dict(tags), name))

    def log(self, run_id: str, metrics: Sequence[Metric], parameters: Parameters, tags: Sequence[RunTag] = ()) -> None:
        """Write to a run, in as few requests as the server allows."""
        few, *rest = _portions([Param(name, value) for name, value in parameters.items()], PARAMETERS_AT_ONCE)
        first, *more = _portions(list(metrics), MOST_AT_ONCE - len(few) - len(tags))
        self._batch(run_id, metrics=first, params=few, tags=tags)
        for metric in more:
            self._batch(run_id, metrics=metric)
        for params in rest:
            self._batch(run_id, params=params)

    def add_parameters(self, run_id: str, parameters: Parameters, known: Mapping[str, str]) -> None:
        """Write the parameters that a run does not have: one that it has never changes."""
        missing = {name: value for name, value in parameters.items() if name not in known}
        if missing:
            self.log(run_id, [], missing)

    def _batch(self, run_id: str, **rows: Sequence[object]) -> None:
        # the server looks for a run's parameters and then inserts them: other launches may insert theirs in between
        write_beside_others(partial(self._client.log_batch, run_id, **rows))

    def attach(self, run: OwnRun, name: str, content: Any) -> None:
        """Attach a JSON file; the client's `log_dict` would ask for the run's artifact URI again."""
        with temporary("mlflow") as folder:
            file = folder / name
            file.write_text(json.dumps(content, indent=2))
            get_artifact_repository(run.artifacts, tracking_uri=self._uri).log_artifact(str(file))

    def end(self, run: OwnRun, status: str, seconds: float | None) -> OwnRun:
        """Close a run, which lasted some seconds."""
        ended = run.started + round((seconds or 0.0) * 1000)
        self._client.set_terminated(run.run_id, status=status, end_time=ended)
        return replace(run, status=status)


def _portions(items: list[ItemT], most: int) -> list[list[ItemT]]:
    """Cut what is to be written into requests; one request at least."""
    return [items[start : start + most] for start in range(0, max(1, len(items)), most)]
