"""Writing to a run that other launches write to as well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, RunTag
from mlflow.exceptions import MlflowException

from tbar_ray.tracking.run_writer import RunWriter
from tests.tracking.test_same_row import THERE

PARAMETERS = {f"p{number}": number for number in range(150)}


class Late(MlflowClient):
    """A launch that is second: after it looked which rows there are, another one inserts them."""

    def __init__(self, uri: str) -> None:
        super().__init__(uri)
        self.refused = 0

    def log_batch(self, run_id: str, *args: Any, **rows: Any) -> None:
        if rows.get("params") and not {one.key for one in rows["params"]} & self.get_run(run_id).data.params.keys():
            super().log_batch(run_id, params=rows["params"][:1])
            self.refused += 1
            raise MlflowException(THERE)
        super().log_batch(run_id, *args, **rows)


def test_what_another_launch_writes_in_between_is_no_error_and_all_the_rest_is_written(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'm.db'}"
    client = Late(uri)
    experiment = client.create_experiment("together", artifact_location=(tmp_path / "artifacts").as_uri())
    run_id = client.create_run(experiment).info.run_id
    writer = RunWriter(client, uri, experiment)
    writer.log(run_id, [Metric("asr", 0.5, 0, 0)], {"seed": 0}, [RunTag("told", "yes")])
    writer.add_parameters(run_id, PARAMETERS, known={"seed": "0"})
    data = client.get_run(run_id).data
    assert client.refused == 3  # the first request, and the two that 150 parameters need
    assert data.params == {"seed": "0", **{name: str(value) for name, value in PARAMETERS.items()}}
    assert (data.metrics, data.tags["told"]) == ({"asr": 0.5}, "yes")
