"""MLflow: one experiment per campaign name, a parent run per launch, a nested run per trial.

Only the driver talks to MLflow. Runs are found by a tag that holds a fingerprint, so that running a
campaign again updates what is there and never doubles it.
"""

from __future__ import annotations

import os
import platform
import sqlite3
import subprocess
import time
from collections.abc import Mapping
from contextlib import closing
from importlib.metadata import version
from math import isfinite
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlparse
from urllib.request import urlopen

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException

from tbar_ray.errors import TrackingError
from tbar_ray.records.results import RETRIEVAL, Record, campaign_fingerprint
from tbar_ray.spec.campaign import CampaignSpec

FINGERPRINT = "tbar.fingerprint"
PARENT = "mlflow.parentRunId"
PACKAGES = ("tbar-ray", "ray", "torch", "open_clip_torch", "webdataset", "mlflow", "optuna", "numpy")
PARAMETERS = (
    "attack",
    "source",
    "trigger",
    "target",
    "task",
    "planting",
    "merge",
    "method",
    "forget_size",
    "clean_fraction",
    "alpha",
    "poisoning_rate",
    "seed",
    "learning_rate",
    "parameters",
)
STEP_SCALE = 1000
"""MLflow's steps are whole numbers: α 1.25 is step 1250."""


class Tracker:
    """A campaign's runs in MLflow.

    Args:
        uri: any tracking URI.
        artifacts: folder for artifacts of a new experiment, where the server has none of its own.
        spec: the campaign.

    Raises:
        TrackingError: one line, if the server does not answer or refuses.
    """

    def __init__(self, uri: str, artifacts: Path | None, spec: CampaignSpec) -> None:
        self.uri = uri
        self._spec = spec
        _check_server(uri)
        _check_database(uri)
        try:
            self._client = MlflowClient(tracking_uri=uri)
            found = self._client.get_experiment_by_name(spec.name)
            self.experiment_id = found.experiment_id if found else self._create(artifacts)
        except (MlflowException, OSError) as error:
            raise TrackingError(f"MLflow at {uri}: {_first_line(error)}; give another with --tracking-uri") from None
        self.parent_id = ""

    def start(self) -> None:
        """Open the parent run of this spec, or the one that an earlier launch of it left."""
        fingerprint = campaign_fingerprint(self._spec)
        run = self._find(fingerprint, parent=None)
        launches = 1
        if run is None:
            run = self._client.create_run(
                self.experiment_id,
                run_name=f"{self._spec.name} {fingerprint[:8]}",
                tags={FINGERPRINT: fingerprint, "tbar.kind": "campaign", **_environment()},
            )
        else:
            launches = int(run.data.tags.get("tbar.launches", 0)) + 1
            self._client.update_run(run.info.run_id, status="RUNNING")
        self.parent_id = run.info.run_id
        self._client.set_tag(self.parent_id, "tbar.launches", launches)
        if self._spec.description:
            self._client.set_tag(self.parent_id, "mlflow.note.content", self._spec.description)
        self._client.log_dict(self.parent_id, self._spec.model_dump(mode="json"), "spec.json")

    def log_trial(self, record: Record) -> None:
        """Write a trial's run; a run that is complete already is left alone."""
        run = self._find(record["fingerprint"], parent=self.parent_id)
        status = "FAILED" if record["status"] == "failed" else "FINISHED"
        if run is not None and run.info.status == status:
            return
        if run is None:
            run = self._client.create_run(
                self.experiment_id,
                run_name=_run_name(record),
                tags={
                    FINGERPRINT: record["fingerprint"],
                    PARENT: self.parent_id,
                    "tbar.kind": "trial",
                    "tbar.campaign": campaign_fingerprint(self._spec),
                },
            )
        run_id = run.info.run_id
        now = int(time.time() * 1000)
        self._log_metrics(run_id, _metrics(record, now))
        self._client.log_batch(
            run_id,
            params=[Param(name, str(record[name])) for name in PARAMETERS if record.get(name) is not None],
            tags=[RunTag("tbar.status", record["status"]), RunTag("tbar.reason", record.get("reason") or "")],
        )
        self._client.log_dict(run_id, record, "trial.json")
        self._client.set_terminated(run_id, status=status)

    def log_training(self, name: str, training: Mapping[str, Any]) -> None:
        """Log a shared stage's loss curve, speed and waiting for data to the parent run, once."""
        key = f"loss/{name}"
        if key in self._client.get_run(self.parent_id).data.metrics:
            return
        now = int(time.time() * 1000)
        curve = [Metric(key, loss, now, step) for step, loss in training["losses"]]
        rates = [
            Metric(f"{rate}/{name}", training[rate], now, 0)
            for rate in ("images_per_second", "waiting_share")
            if rate in training  # a model of an earlier version has no waiting_share
        ]
        self._log_metrics(self.parent_id, curve + rates)

    def log_report(self, files: list[Path]) -> None:
        """Attach the report's files to the parent run."""
        for file in files:
            self._client.log_artifact(self.parent_id, str(file), "report")

    def finish(self, status: str, summary: Mapping[str, float]) -> None:
        """Close the parent run: FINISHED, FAILED or KILLED."""
        for name, value in summary.items():
            self._client.log_metric(self.parent_id, name, value)
        self._client.set_terminated(self.parent_id, status=status)

    def _log_metrics(self, run_id: str, metrics: list[Metric]) -> None:
        for start in range(0, len(metrics), 1000):  # the server's limit per request
            self._client.log_batch(run_id, metrics=metrics[start : start + 1000])

    def _create(self, artifacts: Path | None) -> str:
        location = None
        if artifacts is not None:
            location = (artifacts / self._spec.name).absolute().as_uri()
        return str(self._client.create_experiment(self._spec.name, artifact_location=location))

    def _find(self, fingerprint: str, parent: str | None) -> Run | None:
        query = f"tags.`{FINGERPRINT}` = '{fingerprint}'"
        query += f" and tags.`{PARENT}` = '{parent}'" if parent else " and tags.`tbar.kind` = 'campaign'"
        found = self._client.search_runs([self.experiment_id], query, max_results=1)
        return found[0] if found else None


def _metrics(record: Record, now: int) -> list[Metric]:
    """Return the test values at the selected α, then the validation path stepped by α.

    The order matters to people: MLflow's compare page first shows the metric that was logged first. What is no number
    (what is retained of an infected model's CA of 0) is left out: MLflow would refuse the whole batch.
    """
    path = [
        Metric(f"validation.{name}", point[source], now, round(point["alpha"] * STEP_SCALE))
        for point in record["path"]
        for name, source in (("ca", "ca"), ("asr", "asr"), ("pa", "pa"), ("retention", "ca_retention"))
    ]
    single = {
        "ca": record.get("ca"),
        "asr": record.get("asr"),
        "pa": record.get("pa"),
        "retention": record.get("ca_retention"),
        "asr_all_images": record.get("asr_all_images"),
        "ca_infected": record.get("ca_infected"),
        "asr_infected": record.get("asr_infected"),
        "pa_infected": record.get("pa_infected"),
        "ca_clean": record.get("ca_clean"),
        "asr_clean": record.get("asr_clean"),
        "seconds": record.get("seconds"),
        **_further(record),
    }
    found = [Metric(name, float(value), now, 0) for name, value in single.items() if value is not None] + path
    return [metric for metric in found if metric.value is not None and isfinite(metric.value)]


def _further(record: Record) -> dict[str, float | None]:
    """Return what only some campaigns measure."""
    sensitivity, errors = record.get("alpha_sensitivity") or {}, record.get("disentanglement") or {}
    found = {
        "ca_top5": record.get("ca_top5"),
        "ca_before_merge": record.get("ca_before_merge"),
        "asr_before_merge": record.get("asr_before_merge"),
        "alpha_width": sensitivity.get("width"),
        "xi_planted": errors.get("at_planted"),
        "xi_negated": errors.get("at_negated"),
        "weights_moved": (record.get("weight_change") or {}).get("relative_l2"),
    }
    for name in RETRIEVAL:
        found |= {f"{name}{role}": record.get(f"{name}{role}") for role in ("", "_infected", "_clean")}
    return found


def _run_name(record: Record) -> str:
    source = f" ← {record['source']}" if record.get("source") else ""
    name = f"{record['attack']}{source} n={record['forget_size']} clean={record['clean_fraction']:g}"
    return f"{name} α={record['alphas'][0]:g}" if len(record["alphas"]) == 1 else name


def _environment() -> dict[str, str]:
    tags = {f"version.{package}": version(package) for package in PACKAGES}
    tags["version.python"] = platform.python_version()
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    )
    if commit.returncode == 0:
        tags["mlflow.source.git.commit"] = commit.stdout.strip()
    return tags


def _check_server(uri: str) -> None:
    """Ask an HTTP server whether it is there: MLflow's own retries would take minutes to say no."""
    if urlparse(uri).scheme not in ("http", "https"):
        return
    try:
        with urlopen(f"{uri.rstrip('/')}/health", timeout=10):
            pass
    except (URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise TrackingError(
            f"MLflow tracking server {uri} does not answer ({reason}); start it or give another --tracking-uri"
        ) from None


def _check_database(uri: str) -> None:
    """Ask SQLite whether it can write: MLflow would try an impossible database again for minutes."""
    path = uri.removeprefix("sqlite:///").split("?", 1)[0]
    if not uri.startswith("sqlite:///") or path in ("", ":memory:"):
        return
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path, timeout=20)) as database:
            database.execute("BEGIN IMMEDIATE")
    except (sqlite3.Error, OSError) as error:
        raise TrackingError(f"MLflow at {uri}: {_first_line(error)}; give another with --tracking-uri") from None


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
