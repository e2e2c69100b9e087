from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from tbar_ray.cli.main import app
from tbar_ray.errors import StoreError
from tbar_ray.records.ledger import Ledger
from tbar_ray.store.store import Store
from tests.records.records import failed, record, scores
from tests.report.campaign import SPEC

OTHER = SPEC.model_copy(update={"seed": 7})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(str(tmp_path / "store"))
    for spec, records in (
        (SPEC, [record(), record("blended")]),
        (OTHER, [record(fingerprint="x", removed=scores(0.5, 0.25, 0.1)), failed("blended")]),
    ):
        ledger = Ledger(store, spec)
        ledger.open()
        for made in records:
            ledger.write(made)
    return store


def names(store: Store) -> list[str]:
    return [Ledger(store, spec).folder.removeprefix("campaigns/") for spec in (SPEC, OTHER)]


def test_differences_of_spec_and_results_are_told(store: Store) -> None:
    told = CliRunner().invoke(app, ["campaign", "diff", *names(store), "--store", store.url], catch_exceptions=False)
    assert told.exit_code == 0
    lines = [" ".join(line.split()) for line in told.output.splitlines()]
    assert "seed 0 7" in lines
    assert "data: no difference" in lines
    assert any(line.startswith("badnets ASR") and "25.0%" in line and line.endswith("not paired") for line in lines)
    assert any(line.startswith("blended ASR") and "failed" in line for line in lines)


def test_a_commit_that_nobody_noted_is_no_agreement(store: Store) -> None:
    command = ["campaign", "diff", *names(store), "--store", store.url]
    assert "noted no commit" not in CliRunner().invoke(app, command, catch_exceptions=False).output
    launches = f"{Ledger(store, OTHER).folder}/launches"
    for name in store.list_json(launches):
        store.remove(f"{launches}/{name}")
    told = CliRunner().invoke(app, command, catch_exceptions=False).output
    assert "B was launched by a version that noted no commit" in told
    assert "A was launched by" not in told


def test_as_json_it_has_every_pair(store: Store) -> None:
    command = ["campaign", "diff", *names(store), "--store", store.url, "--json"]
    found = json.loads(CliRunner().invoke(app, command, catch_exceptions=False).output)
    assert found["spec"] == [{"what": "seed", "first": "0", "second": "7"}]
    assert [pair["trial"] for pair in found["results"]] == ["badnets", "blended"]
    assert found["results"][0]["asr"]["b"] == 0.25
    assert found["results"][1]["asr"]["change"] is None


def test_a_spec_file_names_its_campaign(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(yaml.safe_dump(SPEC.model_dump(mode="json")))
    command = ["campaign", "diff", str(file), names(store)[0], "--store", store.url]
    told = CliRunner().invoke(app, command, catch_exceptions=False)
    assert "2 of 2 pairs are the same computation" in told.output
    file.write_text(yaml.safe_dump({**SPEC.model_dump(mode="json"), "seed": 9}))
    with pytest.raises(StoreError, match=r"no trial of the campaign of .*job\.yaml; run it first"):
        CliRunner().invoke(app, command, catch_exceptions=False)
