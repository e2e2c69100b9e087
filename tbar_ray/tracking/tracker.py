"""MLflow: one experiment per campaign name, a parent run per launch, a nested run per trial.

Only the driver talks to MLflow. Runs are found by a tag that holds a fingerprint, so that running a campaign again
updates what is there and never duplicates it.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from math import isfinite
from pathlib import Path
from threading import Lock
from typing import Any

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # two lines for each trial, on a server
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")

from mlflow import MlflowClient
from mlflow.entities import LifecycleStage, Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from tbar_ray import __version__
from tbar_ray.errors import TrackingError, first_line
from tbar_ray.planning.planner import campaign_fingerprint
from tbar_ray.records.cells import OF_ATTACK
from tbar_ray.records.names import run_name
from tbar_ray.records.record import TrialRecord
from tbar_ray.records.scores import BESIDE, RETRIEVAL, PointRecord, Role
from tbar_ray.redaction import redact, redact_all
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.store.temporary import temporary
from tbar_ray.tracking.places import check_database, check_server, deleted, is_server, one_at_a_time, signed_in

FINGERPRINT = "tbar.fingerprint"
PARENT = "mlflow.parentRunId"
PACKAGES = ("ray", "torch", "open_clip_torch", "webdataset", "mlflow", "optuna", "numpy")
"""Versions of these are tags of the campaign's run, beside those of Python and of this package."""
MOST_AT_ONCE = 1000
"""Metrics in one request: the server's limit."""
RUNS_AT_ONCE = 1000
"""Runs in one answer of a search."""
SETTLED = 2.0
"""Seconds within which launches that begin at one time on a server have created their runs."""
STEP_SCALE = 1000
"""MLflow's steps are whole numbers: α 1.25 is step 1250."""


@dataclass(frozen=True)
class _TrialRun:
    """A trial's run; `started` is in milliseconds since the epoch, `artifacts` the URI of its artifacts."""

    run_id: str
    status: str
    started: int
    artifacts: str

    @classmethod
    def of(cls, run: Run) -> _TrialRun:
        """What MLflow says of a run."""
        info = run.info
        return cls(info.run_id, info.status, info.start_time, info.artifact_uri)


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
        uri = self.uri = signed_in(uri)
        self._spec, self._campaign = spec, campaign_fingerprint(spec)
        check_server(uri)
        check_database(uri)
        try:
            with one_at_a_time(uri):
                self._client = MlflowClient(tracking_uri=uri)
                self.experiment_id = self._experiment(artifacts)
        except (MlflowException, OSError) as error:
            raise TrackingError(f"MLflow at {uri}: {first_line(error)}; give another with --tracking-uri") from None
        self.parent_id = ""
        self._closing, self._closed = Lock(), False
        self._trials: dict[str, _TrialRun] | None = None

    def start(self) -> None:
        """Open the parent run of this spec, or the one of an earlier launch."""
        fingerprint = self._campaign
        with one_at_a_time(self.uri):
            run = self._find_parent(fingerprint)
            launches = 1
            if run is None:
                self._client.create_run(
                    self.experiment_id,
                    run_name=f"{self._spec.name} {fingerprint[:8]}",
                    tags={FINGERPRINT: fingerprint, "tbar.kind": "campaign", **_environment()},
                )
                # on a server another launch may have created one as well: once all see all, they take the oldest
                if is_server(self.uri):
                    time.sleep(SETTLED)
                run = self._find_parent(fingerprint)
                assert run is not None
            else:
                launches = int(run.data.tags.get("tbar.launches", 0)) + 1
                self._client.update_run(run.info.run_id, status="RUNNING")
        self.parent_id = run.info.run_id
        self._client.set_tag(self.parent_id, "tbar.launches", launches)
        if self._spec.description:
            self._client.set_tag(self.parent_id, "mlflow.note.content", redact(self._spec.description))
        self._client.log_dict(self.parent_id, redact_all(self._spec.model_dump(mode="json")), "spec.json")

    def forget(self) -> None:
        """Ask MLflow anew which trials have runs: a request whose answer was lost may have been carried out."""
        self._trials = None

    def log_trial(self, record: TrialRecord) -> None:
        """Write a trial's run; a run that is complete already is left alone."""
        known = self._known().get(record.fingerprint)
        status = "FAILED" if record.status == "failed" else "FINISHED"
        if known is not None and known.status == status:
            return
        result = {"tbar.status": record.status, "tbar.reason": record.reason or ""}
        tags = [RunTag(name, value) for name, value in result.items()]
        if known is None:
            own = {
                FINGERPRINT: record.fingerprint,
                PARENT: self.parent_id,
                "tbar.kind": "trial",
                "tbar.campaign": self._campaign,
                **result,
            }
            now = int(time.time() * 1000)
            known = _TrialRun.of(self._client.create_run(self.experiment_id, now, own, run_name(record)))
            tags = []
        run_id = known.run_id
        # all of a run has the time of its start: what an interrupted launch wrote is written again, not duplicated
        first, *rest = _portions(metrics_of(record, known.started))
        self._client.log_batch(
            run_id,
            metrics=first,
            params=[Param(name, value) for name, value in parameters_of(record).items()],
            tags=tags,
        )
        for more in rest:
            self._client.log_batch(run_id, metrics=more)
        self._log_record(known, record)
        self._client.set_terminated(run_id, status=status)
        self._known()[record.fingerprint] = replace(known, status=status)

    def _log_record(self, run: _TrialRun, record: TrialRecord) -> None:
        """Attach a trial's record; the client's `log_dict` would ask for the run's artifact URI again."""
        with temporary("record") as folder:
            file = folder / "trial.json"
            file.write_text(json.dumps(record.model_dump(mode="json"), indent=2))
            get_artifact_repository(run.artifacts, tracking_uri=self.uri).log_artifact(str(file))

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
        for portion in _portions(curve + rates):
            self._client.log_batch(self.parent_id, metrics=portion)

    def log_report(self, files: list[Path]) -> None:
        """Attach the report's files to the parent run."""
        for file in files:
            self._client.log_artifact(self.parent_id, str(file), "report")

    def finish(self, status: str | None, summary: Mapping[str, float]) -> None:
        """Close the parent run: FINISHED, FAILED or KILLED; None leaves it as it is, since other launches go on."""
        for name, value in summary.items():
            self._client.log_metric(self.parent_id, name, value)
        if status is not None:
            self.close(status)

    def close(self, status: str, *, for_good: bool = False) -> None:
        """End the parent run; what another thread says of its end after `for_good` does not count."""
        with self._closing:
            if not self._closed:
                self._client.set_terminated(self.parent_id, status=status)
                self._closed = for_good

    def _experiment(self, artifacts: Path | None) -> str:
        """Id of the experiment of the campaign's name, a new one if there is none."""
        found = self._client.get_experiment_by_name(self._spec.name)
        if found is None:
            location = None if artifacts is None else (artifacts / self._spec.name).absolute().as_uri()
            try:
                return str(self._client.create_experiment(self._spec.name, artifact_location=location))
            except MlflowException:
                found = self._client.get_experiment_by_name(self._spec.name)  # another launch was first
                if found is None:
                    raise
        if found.lifecycle_stage == LifecycleStage.DELETED:
            raise deleted(self.uri, self._spec.name, found.experiment_id)
        return str(found.experiment_id)

    def _known(self) -> dict[str, _TrialRun]:
        """Runs of this campaign's trials by fingerprint; read once.

        They are found by their campaign, not by their parent: one whose parent was deleted gets the new one. Of several
        of one trial, which launches at one time may have left, the oldest stays.
        """
        if self._trials is None:
            self._trials = {}
            query = f"tags.`tbar.campaign` = '{self._campaign}' and tags.`tbar.kind` = 'trial'"
            for run in self._search(query):
                info, fingerprint = run.info, run.data.tags.get(FINGERPRINT, "")
                if fingerprint in self._trials:
                    self._client.delete_run(info.run_id)
                    continue
                if run.data.tags.get(PARENT) != self.parent_id:
                    self._client.set_tag(info.run_id, PARENT, self.parent_id)
                self._trials[fingerprint] = _TrialRun.of(run)
        return self._trials

    def _find_parent(self, fingerprint: str) -> Run | None:
        """The oldest parent run of a spec; others are deleted."""
        found = self._search(f"tags.`{FINGERPRINT}` = '{fingerprint}' and tags.`tbar.kind` = 'campaign'")
        for other in found[1:]:
            self._client.delete_run(other.info.run_id)
        return found[0] if found else None

    def _search(self, query: str) -> list[Run]:
        """All runs of the experiment that a query names, the oldest first."""
        found, token = [], None
        while True:
            page = self._client.search_runs([self.experiment_id], query, max_results=RUNS_AT_ONCE, page_token=token)
            found += page
            if not (token := page.token):
                return sorted(found, key=lambda run: (run.info.start_time, run.info.run_id))


def _portions(metrics: list[Metric]) -> list[list[Metric]]:
    """Cut metrics into requests; one request at least."""
    return [metrics[start : start + MOST_AT_ONCE] for start in range(0, max(1, len(metrics)), MOST_AT_ONCE)]


def parameters_of(record: TrialRecord) -> dict[str, str]:
    """Parameters of a trial's run: its axes, what its attack fixes, and α where it was selected."""
    fixed = {name: getattr(record, name) for name in OF_ATTACK}
    told = {**record.settings, **fixed, "alpha": record.alpha, "statistics": record.statistics}
    return {name: str(value) for name, value in told.items() if value is not None}


def metrics_of(record: TrialRecord, now: int) -> list[Metric]:
    """Test values at the selected α, then the validation path stepped by α.

    The order matters: MLflow's compare page first shows the metric that was logged first. Values that are not numbers
    (the retention of an infected model's CA of 0) are left out: MLflow would refuse the whole batch.
    """
    of_trial: dict[str, float | None] = {
        **{metric: record.value(metric) for metric in ("ca", "asr", "pa")},
        "retention": record.ca_retention,
        "asr_all_images": record.value("asr_all_images"),
        **{f"{metric}_infected": record.value(metric, "infected") for metric in ("ca", "asr", "pa")},
        **{f"{metric}_clean": record.value(metric, "clean") for metric in ("ca", "asr")},
        "seconds": record.seconds,
        **_further(record),
    }
    path = [
        Metric(f"validation.{name}", value, now, round(point.alpha * STEP_SCALE))
        for point in record.path
        for name, value in (
            *((metric, point.scores.rate(metric).value) for metric in ("ca", "asr", "pa")),
            ("retention", point.ca_retention),
            *_beside(point),
        )
        if value is not None
    ]
    found = [Metric(name, float(value), now, 0) for name, value in of_trial.items() if value is not None]
    found += [*path, *_along_rebound(record, now)]
    return [metric for metric in found if isfinite(metric.value)]


def _along_rebound(record: TrialRecord, now: int) -> list[Metric]:
    """Test scores of the cleaned model along its fine-tuning, by step."""
    curve = record.rebound.removed if record.rebound else None
    return [
        Metric(f"rebound.{metric}", value, now, point.step)
        for point in (curve.points if curve else ())
        for metric in ("ca", "asr", "pa")
        if (value := point.scores.rate(metric).value) is not None
    ]


def _beside(point: PointRecord) -> list[tuple[str, float | None]]:
    """Validation scores with the other running statistics."""
    found: list[tuple[str, float | None]] = []
    for role in BESIDE:
        if (scores := getattr(point, role)) is not None:
            found += [(f"{metric}_{role}", scores.rate(metric).value) for metric in ("ca", "asr", "pa")]
    return found


def _further(record: TrialRecord) -> dict[str, float | None]:
    """Metrics that only some campaigns have."""
    sensitivity, errors, change = record.alpha_sensitivity, record.disentanglement, record.weight_change
    gate, seen = record.gate, record.visibility
    geometry = errors.geometry if errors else None
    roles: tuple[tuple[Role, str], ...] = (("removed", ""), ("infected", "_infected"), ("clean", "_clean"))
    return {
        "ca_top5": record.value("ca_top5"),
        **{f"{metric}_{role}": record.value(metric, role) for role in BESIDE for metric in ("ca", "asr", "pa")},
        "asr_masked": record.asr_masked,
        **{f"{metric}_before_merge": record.value(metric, "before_merge") for metric in ("ca", "asr")},
        "alpha_width": sensitivity.width if sensitivity else None,
        "xi_planted": errors.at_planted if errors else None,
        "xi_negated": errors.at_negated if errors else None,
        "xi_equal_length": errors.at_equal_length if errors else None,
        "cosine_towards_target": geometry.cosine_towards_target if geometry else None,
        "trigger_relative_length": geometry.relative_length if geometry else None,
        "gradient_overlap": geometry.gradient_overlap if geometry else None,
        **(record.rebound.summary() if record.rebound else {}),
        **record.downstream_values(),
        "pretraining_samples": record.pretraining_samples,
        "weights_moved": change.relative_l2 if change else None,
        "validation.asr_infected": gate.asr if gate else None,
        "psnr": seen.psnr.value if seen and seen.psnr else None,
        "ssim": seen.ssim.value if seen else None,
        **{f"{name}{suffix}": record.value(name, role) for name in RETRIEVAL for role, suffix in roles},
    }


def _environment() -> dict[str, str]:
    tags = {f"version.{package}": version(package) for package in PACKAGES}
    tags["version.tbar-ray"] = __version__  # its metadata are missing where a source tree is run without installation
    tags["version.python"] = platform.python_version()
    if (commit := _commit()) is not None:
        tags["mlflow.source.git.commit"] = commit
    return tags


def _commit() -> str | None:
    """The commit that this code is of; None without git, and for an installed package."""
    command = ["git", "rev-parse", "HEAD"]
    try:
        answer = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
