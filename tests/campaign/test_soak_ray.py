"""A campaign on two nodes, an S3 server and an MLflow server: a random one of its processes is killed again and again.

TBAR_TEST_SOAK_MINUTES=20 pytest -m slow -s tests/campaign/test_soak_ray.py

It takes a few minutes by default, in which each kind of process is killed once; from seven minutes on, something is
killed every minute. TBAR_TEST_SOAK_SEED gives another order, TBAR_TEST_SOAK_JSON names a file for what was measured.
"""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from rich.console import Console

from tbar_ray.campaign.launch import Launch, launch
from tbar_ray.records.account import account_of, total_of
from tbar_ray.records.ledger import Ledger
from tbar_ray.records.lost_attempts import lost_attempts_of
from tbar_ray.records.record import TrialRecord
from tbar_ray.report.expenses import lost_json, lost_line
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.store.store import Store
from tests.buckets import new_bucket
from tests.campaign.faults import SHORT, told
from tests.campaign.faults import campaign as disturbed
from tests.campaign.ray_nodes import ray_nodes, without_ray
from tests.campaign.soak import Driver, Soak, tracking_server
from tests.ports import free_port
from tests.proxy import proxy_before
from tests.tracking.server import runs_of

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(0)]

MINUTES = float(os.environ.get("TBAR_TEST_SOAK_MINUTES", "3"))
SEED = int(os.environ.get("TBAR_TEST_SOAK_SEED", "0"))
KINDS = 7
TIMES = max(KINDS, int(MINUTES))
EVERY = 60 * MINUTES / max(TIMES, MINUTES)
"""Seconds between what happens."""
EPOCHS = 60
TRAININGS = 3
"""Clean models at first; as many more as the time asks for."""
KEEP_CHECKPOINTS = ("clean", "plant")
"""How the titles begin of stages that go on from a checkpoint."""


def campaign(trainings: int) -> CampaignSpec:
    """Two trials on each of so many infected models, every one of which has a clean model of its own."""
    training = {**SHORT, "epochs": EPOCHS}
    axes = {
        "attack": ["badnets"],
        "model.training.epochs": [EPOCHS + number for number in range(trainings)],
        "forget_size": [8, 12],
    }
    return disturbed(
        0.05,
        name="soak",
        model={"architecture": "tbar-RN-pico", "training": training},
        search={"axes": axes, "concurrency": 4},
    )


def undisturbed(folder: Path) -> tuple[CampaignSpec, Launch, Store]:
    """A campaign that takes as long as was asked for when nothing happens."""
    store, uri = Store(str(folder / "store")), f"sqlite:///{folder / 'mlflow.db'}"

    def run(made: CampaignSpec) -> Launch:
        return launch(made, store, uri, folder / "report", "local", Console())

    first = run(campaign(TRAININGS))
    wanted = math.ceil(TRAININGS * 60 * MINUTES / first.seconds)
    if wanted <= TRAININGS:
        return campaign(TRAININGS), first, store
    return campaign(wanted), run(campaign(wanted)), store


def weights(store: Store) -> dict[str, dict[str, str]]:
    """Hashes of all tensors in a store, by artifact."""
    found = {}
    for name in store.artifacts():
        files = store.facts(name)["files"]
        found[name] = {file: entry["sha256"] for file, entry in files.items() if file.endswith(".safetensors")}
    return {name: files for name, files in found.items() if files}


def test_whatever_is_killed_results_are_those_of_an_undisturbed_campaign(
    s3: None, tmp_path: Path, without_figures: None
) -> None:
    made, calm, calm_store = undisturbed(tmp_path / "calm")
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(made.model_dump(mode="json")))
    server = urlsplit(os.environ["AWS_ENDPOINT_URL"])
    assert server.hostname is not None
    assert server.port is not None
    store = Store(f"{new_bucket('s3')}/store")
    with proxy_before(server.hostname, server.port) as proxy, tracking_server(tmp_path, free_port()) as tracking:
        environment = {**without_ray(os.environ), "AWS_ENDPOINT_URL": proxy.url, "TBAR_HOME": str(tmp_path / "home")}
        root = str(Path(__file__).parents[2])
        environment["PYTHONPATH"] = os.pathsep.join([root, environment.get("PYTHONPATH", "")])
        with ray_nodes(environment, 2) as nodes:
            nodes.wait_until_ready(2)
            words = [
                "campaign", "run", str(tmp_path / "spec.yaml"), "--address", nodes.address, "--store", store.url,
                "--tracking-uri", tracking.uri, "--no-sheets", "--no-log-models",
            ]  # fmt: skip
            driver = Driver(words, nodes.environment, tmp_path / "driver")
            try:
                soak = Soak(driver, nodes, tracking, proxy, SEED)
                assert len(soak.kinds) == KINDS
                soak.run(EVERY, TIMES, longest=600 + 10 * 60 * MINUTES)
            finally:
                driver.kill()
            (parent,), nested = runs_of(tracking.uri, made.name)
    ledger = Ledger(store, made)
    records, lost = ledger.read(), lost_attempts_of(store, ledger.folder)
    spent, shares = _spent(records, lost_json(lost)["hours"]["cpu_hours"])
    trained, other = (sum(a.wasted_cpu_hours for a in lost if _goes_on(a.title) is trains) for trains in (True, False))
    figures = {
        "minutes": MINUTES, "seed": SEED, "every": EVERY, "trials": len(records), "happened": soak.happened,
        "driver_starts": driver.starts, "driver_ends": driver.ends, "undisturbed_seconds": calm.seconds,
        "spent_cpu_hours": spent, "lost": lost_json(lost), "wasted_since_checkpoints": trained / spent,
        "wasted_otherwise": other / spent, **shares,
    }  # fmt: skip
    if place := os.environ.get("TBAR_TEST_SOAK_JSON"):
        Path(place).write_text(json.dumps(figures, indent=1))

    assert set(soak.happened) == set(soak.kinds), "the campaign ended before all had happened"
    assert [record.reason for record in records] == [None] * len(calm.records), driver.last_words
    assert [told(record) for record in records] == [told(record) for record in calm.records]
    assert weights(store) == weights(calm_store)
    assert parent.info.status == "FINISHED"
    trials = [run for run in nested if run.data.tags["tbar.kind"] == "trial"]
    assert Counter(run.info.status for run in trials) == {"FINISHED": len(records)}
    settings = {(run.data.params["forget_size"], run.data.params["model.training.epochs"]) for run in trials}
    assert len(settings) == len(records), "each trial once"
    assert "process" in {attempt.cause for attempt in lost}, "a training ran when its process was killed"
    assert (lost_line(lost) or "") in driver.last_words.replace("\n", " ")
    if EVERY >= 60:
        assert other <= 0.05 * spent


def _spent(records: list[TrialRecord], lost: float) -> tuple[float, dict[str, float]]:
    """CPU-hours of all attempts, and the share of those that were cut off."""
    computed = total_of(account_of(records)).cpu_hours
    return computed + lost, {"cut_off": lost / (computed + lost)}


def _goes_on(title: str) -> bool:
    return title.startswith(KEEP_CHECKPOINTS)
