"""The cleaned model of a trial as a file: its scores are the campaign's, to the last image."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import tbar_ray as tbar
from tbar_ray.campaign.export import export_trial, planned_trial
from tbar_ray.errors import SpecError, StoreError
from tbar_ray.records.ledger import Ledger
from tbar_ray.records.names import run_name
from tbar_ray.records.record import TrialRecord
from tbar_ray.records.scores import ScoresRecord
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.store.store import Store
from tests.api.world import labelled, write_benchmark, write_shards
from tests.models.formats.published import content_of, hub
from tests.models.tiny import RESNET, VIT, snapshot, tiny
from tests.records.records import failed
from tests.specs import spec
from tests.stages.computing import compute_trial

QUICK = {"steps": 2, "batch_size": 8, "learning_rate": 1e-3}
CASES = {
    "tbar": (RESNET, QUICK),
    "twin-distillation": (RESNET, {**QUICK, "batch_size": 4}),
    "cbpt": (RESNET, {"steps": 2, "batch_size": 8, "inversion_steps": 2}),
    "rvpt": (VIT, {"steps": 2, "batch_size": 8}),
}


def campaign(folder: Path, method: str, checkpoint: Path, **changes: Any) -> CampaignSpec:
    architecture, parameters = CASES[method]
    settings: dict[str, Any] = {
        "data": {"train": str(folder / "shards"), "evaluation": str(folder / "labelled")},
        "model": {"architecture": architecture},
        "attacks": {"badnets": {"trigger": "badnets", "target": "blue", "infected": str(checkpoint)}},
        "poison": {"min_asr": 0, "max_ca_drop": 1},
        "forget": {"size": 16},
        "defender": {"clean_pairs": 16},
        "alpha": [1, 3],
        "unlearning": {"method": method, "parameters": parameters},
        "evaluation": {"min_retention": 0},
        "search": {"axes": {"attack": ["badnets"], "seed": [0]}},
    }
    return spec(**{**settings, **changes})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards, a labelled set, and untrained models in the formats that they came in."""
    home = tmp_path_factory.mktemp("export")
    model = tbar.Model(tiny(RESNET), RESNET)
    write_shards(home / "shards", *labelled(40, 3, model))
    write_benchmark(home / "labelled", *labelled(24, 9, model))
    for architecture in (RESNET, VIT):
        state = {f"module.{name}": value for name, value in snapshot(tiny(architecture)).items()}
        torch.save({"epoch": 1, "state_dict": state}, home / f"{architecture}.pt")
    torch.set_num_threads(1)
    return home


def computed(folder: Path, method: str) -> tuple[CampaignSpec, Store, TrialRecord]:
    """Compute a campaign of one trial, in a store of its own."""
    made = campaign(folder, method, folder / f"{CASES[method][0]}.pt")
    store = Store(str(folder / f"store {method}"))
    record = compute_trial(made, {"attack": "badnets", "seed": 0}, store)
    ledger = Ledger(store, made)
    ledger.open()
    ledger.write(record)
    return made, store, record


@pytest.mark.parametrize("method", CASES)
def test_the_file_gives_the_campaigns_scores(folder: Path, tmp_path: Path, method: str) -> None:
    made, store, record = computed(folder, method)
    exported = export_trial(made, store, tmp_path / "cleaned.pt")
    assert exported.record == record
    architecture = CASES[method][0]
    model = tbar.load_model(architecture, exported.files[0], device="cpu")
    assert bool(model.beside.parts()) == (method in ("cbpt", "rvpt"))
    _, test = tbar.evaluation_set(folder / "labelled").split(0.5)
    backdoor = tbar.Backdoor(tbar.trigger("badnets"), "blue")
    found = tbar.evaluate(model, test, backdoor).to_dict()
    assert record.removed == ScoresRecord.model_validate(found)
    assert record.statistics == ("reestimated" if architecture == RESNET else None), "as the spec has it"
    assert record.alpha is not None
    assert record.alpha > 0


def test_format_and_untouched_tensors_are_those_of_the_infected_file(folder: Path, tmp_path: Path) -> None:
    made, store, _ = computed(folder, "tbar")
    export_trial(made, store, tmp_path / "cleaned.pt")
    before = torch.load(folder / f"{RESNET}.pt", weights_only=True)["state_dict"]
    after = torch.load(tmp_path / "cleaned.pt", weights_only=True)["state_dict"]
    assert after.keys() == before.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(name.startswith("module.visual.") for name in changed)
    assert any("running_mean" in name for name in changed)  # re-estimated, as they were for the scores


def test_the_manifest_tells_trial_and_edit(folder: Path, tmp_path: Path) -> None:
    made, store, record = computed(folder, "tbar")
    exported = export_trial(made, store, tmp_path / "cleaned.pt", command=["tbar", "campaign", "export"])
    told = json.loads(exported.manifest.read_text())
    assert told["trial"]["fingerprint"] == record.fingerprint
    assert told["trial"]["name"] == run_name(record)
    assert (told["alpha"], told["coefficient"]) == (record.alpha, -(record.alpha or 0))
    assert told["why"] == exported.why == (
        "of 1 trials the best on validation: enough CA kept, then least ASR, then most CA"
    )  # fmt: skip
    assert told["method"]["parameters"]["steps"] == 2
    assert told["scores"]["after"]["ca"]["value"] == (record.removed.ca.value if record.removed else None)
    assert told["command"] == ["tbar", "campaign", "export"]


def test_a_model_that_came_as_a_folder_can_be_exported_as_one(folder: Path, tmp_path: Path) -> None:
    came = hub(snapshot(tiny(VIT)), tmp_path)
    made = campaign(folder, "rvpt", came, unlearning={"method": "tbar", "parameters": QUICK})
    store = Store(str(tmp_path / "store"))
    record = compute_trial(made, {"attack": "badnets", "seed": 0}, store)
    Ledger(store, made).write(record)
    exported = export_trial(made, store, tmp_path / "cleaned")
    assert set(exported.files) == {tmp_path / "cleaned" / path.name for path in came.iterdir()}
    told = json.loads(exported.manifest.read_text())
    assert exported.manifest == tmp_path / "cleaned.manifest.json"
    assert told["input"]["file"]["name"] == "open_clip_model.safetensors"
    assert {file["name"] for file in told["files"]} == {path.name for path in came.iterdir()}
    before, after = content_of(came), content_of(tmp_path / "cleaned")
    assert before.keys() == after.keys()
    assert any(not torch.equal(before[name], after[name]) for name in before)


def test_a_trial_is_chosen_by_name_or_fingerprint(folder: Path, tmp_path: Path) -> None:
    made, store, record = computed(folder, "tbar")
    for named in (record.fingerprint, record.fingerprint[:6], run_name(record), "badnets, seed 0"):
        assert export_trial(made, store, tmp_path / "cleaned.pt", named).why == "you named it"
    with pytest.raises(SpecError, match=rf"no trial 'blended'; .*{record.fingerprint[:8]} badnets, tbar"):
        export_trial(made, store, tmp_path / "cleaned.pt", "blended")


def test_a_trial_without_an_alpha_has_no_model(folder: Path, tmp_path: Path) -> None:
    made = campaign(folder, "tbar", folder / f"{RESNET}.pt")
    store = Store(str(tmp_path / "store"))
    with pytest.raises(StoreError, match="has no trial of campaign demo; run it first"):
        export_trial(made, store, tmp_path / "cleaned.pt")
    record = failed(reason="attack did not take")
    Ledger(store, made).write(record)
    with pytest.raises(SpecError, match="no trial of this campaign has selected an α yet"):
        export_trial(made, store, tmp_path / "cleaned.pt")
    with pytest.raises(SpecError, match="has no α: attack did not take"):
        export_trial(made, store, tmp_path / "cleaned.pt", record.fingerprint)


def test_a_record_of_other_stages_is_refused(folder: Path) -> None:
    made, _, record = computed(folder, "tbar")
    with pytest.raises(StoreError, match="no longer plan what it computed"):
        planned_trial(made, record.model_copy(update={"stages": ()}))
