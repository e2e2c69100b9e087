"""Cleaned models as MLflow's logged models: weights, manifest and scores, as outputs of the trial's run."""

from __future__ import annotations

import re
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput, LoggedModelStatus, Metric

from tbar_ray.records.record import TrialRecord
from tbar_ray.tracking.run_writer import OwnRun
from tbar_ray.tracking.tags import FINGERPRINT

SCORED = ("ca", "asr", "pa")


def has_model(client: MlflowClient, run: OwnRun) -> bool:
    """Whether a run has a model among its outputs."""
    outputs = client.get_run(run.run_id).outputs
    return outputs is not None and bool(outputs.model_outputs)


def log_model(client: MlflowClient, experiment: str, run: OwnRun, record: TrialRecord, folder: Path) -> None:
    """Log the model that is in a folder.

    Args:
        client: of MLflow.
        experiment: its number.
        run: of the trial.
        record: of the trial.
        folder: with `cleaned.safetensors` and its manifest.
    """
    settings = {name: value for name, value in record.settings.items() if value is not None}
    model = client.create_logged_model(
        experiment,
        name=re.sub(r"""[/:.%"']""", "-", f"{record.attack} cleaned by {record.method}"),
        source_run_id=run.run_id,
        tags={FINGERPRINT: record.fingerprint},
        params={name: str(value) for name, value in {**settings, "alpha": record.alpha}.items()},
        model_type="CLIP",
    )
    client.log_model_artifacts(model.model_id, str(folder))
    scores = {metric: value for metric in SCORED if (value := record.value(metric)) is not None}
    metrics = [Metric(name, value, run.started, 0, model_id=model.model_id) for name, value in scores.items()]
    client.log_batch(run.run_id, metrics=metrics)
    client.log_outputs(run.run_id, [LoggedModelOutput(model.model_id, step=0)])
    client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
