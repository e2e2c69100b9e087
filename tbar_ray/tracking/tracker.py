"""MLflow: one experiment per campaign name, a parent run per launch, a nested run per trial.

Only the driver talks to MLflow. Runs are found by a tag that holds a fingerprint, so that running a campaign again
updates what is there and never duplicates it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # two lines for each trial, on a server
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")

from mlflow import MlflowClient
from mlflow.entities import LifecycleStage, Metric, Run, RunTag
from mlflow.exceptions import MlflowException

from tbar_ray.errors import TrackingError, first_line
from tbar_ray.planning.foundation import Foundation
from tbar_ray.planning.planner import PlannedTrial, campaign_fingerprint
from tbar_ray.records.names import run_name
from tbar_ray.records.record import TrialRecord
from tbar_ray.redaction import redact, redact_all
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.tracking.datasets import datasets_of
from tbar_ray.tracking.logged_models import has_model, log_model
from tbar_ray.tracking.new_database import make_database
from tbar_ray.tracking.places import (
    UnreachableError,
    check_database,
    check_server,
    deleted,
    is_server,
    one_at_a_time,
    signed_in,
)
from tbar_ray.tracking.run_metrics import metrics_of
from tbar_ray.tracking.run_parameters import flat, parameters_of, parameters_of_campaign
from tbar_ray.tracking.run_writer import OwnRun, RunWriter
from tbar_ray.tracking.same_row import write_beside_others
from tbar_ray.tracking.system_metrics import SystemMetrics, metrics_of_process
from tbar_ray.tracking.tags import CAMPAIGN, DESCRIPTION, FINGERPRINT, KIND, LAUNCHED, PARENT, environment, origin
from tbar_ray.tracking.view import SHARED, view_of

RUNS_AT_ONCE = 1000
"""Runs in one answer of a search."""
SETTLED = 2.0
"""Seconds within which launches that begin at one time on a server have created their runs."""
SERVER_ERROR = 500
"""HTTP's status of errors that are the server's, and of servers that are not there."""


def is_down(error: Exception, uri: str) -> bool:
    """Whether an error says that a server does not work; it may later."""
    broken = isinstance(error, MlflowException) and error.get_http_status_code() >= SERVER_ERROR
    return is_server(uri) and (broken or isinstance(error, UnreachableError))


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
                make_database(uri)
                self._client = MlflowClient(tracking_uri=uri)
                self.experiment_id = self._experiment(artifacts)
        except (MlflowException, OSError) as error:
            kind = UnreachableError if is_down(error, uri) else TrackingError
            raise kind(f"MLflow at {uri}: {first_line(error)}; give another with --tracking-uri") from None
        self.parent_id = ""
        self._closing, self._closed = Lock(), False
        self._runs: dict[str, OwnRun] | None = None
        self._origin = origin()
        self._system: SystemMetrics | None = None
        self._writer = RunWriter(self._client, uri, self.experiment_id)

    def start(self, foundation: Foundation | None = None) -> None:
        """Open the parent run of this spec, or the one of an earlier launch; `foundation` has its data."""
        fingerprint = self._campaign
        tags = {FINGERPRINT: fingerprint, KIND: "campaign", **environment(), **self._origin}
        with one_at_a_time(self.uri):
            run = self._find_parent(fingerprint)
            launches = 1
            if run is None:
                name = f"{self._spec.name} {fingerprint[:8]}"
                self._client.create_run(self.experiment_id, run_name=name, tags=tags)
                # on a server another launch may have created one as well: once all see all, they take the oldest
                if is_server(self.uri):
                    time.sleep(SETTLED)
                run = self._find_parent(fingerprint)
                assert run is not None
            else:
                launches = int(run.data.tags.get("tbar.launches", 0)) + 1
                self._client.update_run(run.info.run_id, status="RUNNING")
        self.parent_id = run.info.run_id
        told = {"tbar.launches": str(launches)}
        if self._spec.description:
            told[DESCRIPTION] = redact(self._spec.description)
            self._tag_experiment(DESCRIPTION, told[DESCRIPTION])
        self._writer.log(self.parent_id, [], {}, [RunTag(name, value) for name, value in told.items()])
        self._writer.add_parameters(self.parent_id, parameters_of_campaign(self._spec), known=run.data.params)
        self._client.log_dict(self.parent_id, redact_all(self._spec.model_dump(mode="json")), "spec.json")
        view = {
            f"{SHARED}{fingerprint}": view_of(self._spec, fingerprint),
            CAMPAIGN: fingerprint,
            LAUNCHED: int(time.time()),
        }
        for tag, value in view.items():
            self._tag_experiment(tag, value)
        self._system = SystemMetrics(self.parent_id, self.uri)
        if foundation is not None:
            datasets = datasets_of(foundation)
            write_beside_others(partial(self._client.log_inputs, self.parent_id, datasets))

    def forget(self) -> None:
        """Ask MLflow anew which trials have runs: a request whose answer was lost may have been carried out."""
        self._runs = None

    def log_trial(self, record: TrialRecord, planned: PlannedTrial | None = None) -> None:
        """Write a trial's run, with the parameters of its plan; a run that is complete already is left alone.

        The run lasts as long as the trial's own stages took, and ends when they ended.
        """
        known = self._known().get(record.fingerprint)
        status = "FAILED" if record.status == "failed" else "FINISHED"
        if known is not None and known.status == status:
            return
        result = {"tbar.status": record.status, "tbar.reason": record.reason or ""}
        tags = [RunTag(name, value) for name, value in result.items()]
        if known is None:
            ended = time.time() if record.ended is None else record.ended
            started = ended - (record.seconds or 0.0)
            own = self._tags("trial", record.fingerprint)
            known, tags = self._writer.create(run_name(record), started, {**own, **result}), []
        # all of a run has the time of its start: what an interrupted launch wrote is written again, not duplicated
        metrics, parameters = metrics_of(record, known.started), parameters_of(record, planned)
        self._writer.log(known.run_id, metrics, parameters, tags)
        self._writer.attach(known, "trial.json", record.model_dump(mode="json"))
        self._known()[record.fingerprint] = self._writer.end(known, status, record.seconds)

    def log_training(self, facts: Mapping[str, Any]) -> None:
        """Write the run of a training that trials share: loss by step, speed, waiting for data, use of CPU and memory.

        Args:
            facts: of its artifact (`Store.facts`).
        """
        fingerprint, training = facts["fingerprint"], facts["facts"]["training"]
        known = self._known().get(fingerprint)
        if known is not None and known.status == "FINISHED":
            return
        if known is None:
            started = facts["ended"] - facts["seconds"]
            tags = {**self._tags("training", fingerprint), "tbar.artifact": facts["name"]}
            known = self._writer.create(facts["title"], started, tags)
        last = {"images_per_second", "waiting_share", "samples"} & training.keys()  # earlier versions told fewer
        values = {name: training[name] for name in sorted(last)}
        values |= {name: facts[name] for name in ("seconds", "cpus", "gpus") if facts.get(name) is not None}
        metrics = [Metric("loss", loss, known.started, step) for step, loss in training["losses"]]
        metrics += [Metric(name, float(value), known.started, 0) for name, value in values.items()]
        metrics += metrics_of_process(facts, known.started)
        told = {"architecture": facts.get("architecture"), "training": facts["identity"].get("training")}
        self._writer.log(known.run_id, metrics, flat(redact_all({"kind": facts["kind"], **told})))
        self._known()[fingerprint] = self._writer.end(known, "FINISHED", facts["seconds"])

    def _tags(self, kind: str, fingerprint: str) -> dict[str, str]:
        """Tags of a run under the parent."""
        own = {FINGERPRINT: fingerprint, PARENT: self.parent_id, KIND: kind, CAMPAIGN: self._campaign}
        return {**own, **self._origin}

    def without_model(self, records: Sequence[TrialRecord]) -> list[TrialRecord]:
        """Those of some trials whose runs have no model yet."""
        return [record for record in records if not has_model(self._client, self._known()[record.fingerprint])]

    def log_model(self, record: TrialRecord, folder: Path) -> None:
        """Log a trial's cleaned model, which is in a folder with its manifest."""
        log_model(self._client, self.experiment_id, self._known()[record.fingerprint], record, folder)

    def log_report(self, files: list[Path]) -> None:
        """Attach the report's files to the parent run."""
        for file in files:
            self._client.log_artifact(self.parent_id, str(file), "report")

    def finish(self, status: str | None, summary: Mapping[str, float]) -> None:
        """Close the parent run: FINISHED, FAILED or KILLED; None leaves it as it is, since other launches go on."""
        now = int(time.time() * 1000)
        self._writer.log(self.parent_id, [Metric(name, value, now, 0) for name, value in summary.items()], {})
        if status is not None:
            self.close(status)

    def close(self, status: str, *, for_good: bool = False) -> None:
        """End the parent run; what another thread says of its end after `for_good` does not count."""
        if not for_good and self._system is not None:  # else the process ends, and does not wait for it
            self._system.finish()
        with self._closing:
            if not self._closed:
                self._client.set_terminated(self.parent_id, status=status)
                self._closed = for_good

    def _tag_experiment(self, tag: str, value: object) -> None:
        write_beside_others(partial(self._client.set_experiment_tag, self.experiment_id, tag, value))

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

    def _known(self) -> dict[str, OwnRun]:
        """Runs of this campaign's trials and trainings by fingerprint; read once.

        They are found by their campaign, not by their parent: one whose parent was deleted gets the new one. Of several
        of one trial, which launches at one time may have left, the oldest stays.
        """
        if self._runs is None:
            self._runs = {}
            query = f"tags.`{CAMPAIGN}` = '{self._campaign}'"
            for run in self._search(query):
                info, fingerprint = run.info, run.data.tags.get(FINGERPRINT, "")
                if fingerprint in self._runs:
                    self._client.delete_run(info.run_id)
                    continue
                if run.data.tags.get(PARENT) != self.parent_id:
                    self._client.set_tag(info.run_id, PARENT, self.parent_id)
                self._runs[fingerprint] = OwnRun.of(run)
        return self._runs

    def _find_parent(self, fingerprint: str) -> Run | None:
        """The oldest parent run of a spec; others are deleted."""
        found = self._search(f"tags.`{FINGERPRINT}` = '{fingerprint}' and tags.`{KIND}` = 'campaign'")
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
