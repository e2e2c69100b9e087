"""A campaign's records in the store: written, read, refused, ordered."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from tbar_ray.errors import StoreError
from tbar_ray.records.ledger import Ledger, in_order
from tbar_ray.records.record import SCHEMA_VERSION
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.store.store import Store
from tests.records.records import epochs_grid, error_map, failed, flat, grid, infeasible, record
from tests.specs import spec


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(Store(str(tmp_path)), spec())


def broken(ledger: Ledger, **changes: Any) -> str:
    """Write a record with changes (`...` removes), and return what reading says."""
    content = {**record().model_dump(mode="json"), **changes}
    path = f"{ledger.folder}/trials/{content['fingerprint']}.json"
    ledger.store.write_json(path, {key: value for key, value in content.items() if value is not ...})
    with pytest.raises(StoreError) as caught:
        ledger.read()
    with pytest.raises(StoreError) as found:
        ledger.find(record().fingerprint)
    assert str(found.value) == str(caught.value)
    assert "\n" not in str(caught.value)
    assert path in str(caught.value)
    return str(caught.value)


def test_records_read_back_as_they_were_written(ledger: Ledger) -> None:
    made = [record(alpha_sensitivity=flat(), disentanglement=error_map()), failed("blended"), infeasible(seed=3)]
    assert ledger.read() == []
    for each in made:
        ledger.write(each)
    assert ledger.read() == in_order(made)
    assert [ledger.find(each.fingerprint) for each in made] == made
    assert ledger.find("none") is None


def test_a_record_replaces_an_earlier_one_of_the_same_trial(ledger: Ledger) -> None:
    ledger.write(failed())
    again = record(fingerprint=failed().fingerprint)
    ledger.write(again)
    assert ledger.read() == [again]


@pytest.mark.parametrize(("version", "said"), [(..., 1), (1, 1), (SCHEMA_VERSION + 1, SCHEMA_VERSION + 1)])
def test_a_record_of_another_schema_version_is_refused(ledger: Ledger, version: Any, said: int) -> None:
    message = broken(ledger, schema_version=version)
    assert f"is a record of schema version {said}, this is version {SCHEMA_VERSION}; run the campaign again" in message


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"status": "perhaps"}, "status"), ({"settings": ...}, "settings"), ({"path": [{"alpha": 1}]}, "path.0.scores")],
)
def test_a_broken_record_is_refused_by_its_field(ledger: Ledger, changes: dict[str, Any], field: str) -> None:
    assert f"is broken at '{field}'; run the campaign again to replace it" in broken(ledger, **changes)


def test_what_is_no_record_is_refused(ledger: Ledger) -> None:
    ledger.store.write_json(f"{ledger.folder}/trials/x.json", [1])
    with pytest.raises(StoreError, match=r"trials/x.json is a record of schema version None"):
        ledger.read()


def test_the_spec_lies_beside_the_trials(ledger: Ledger) -> None:
    ledger.open()
    assert CampaignSpec.model_validate(ledger.store.read_json(f"{ledger.folder}/spec.json")) == spec()
    assert ledger.folder.startswith("campaigns/demo/")
    assert ledger.folder != Ledger(ledger.store, spec(seed=1)).folder
    assert ledger.folder == Ledger(ledger.store, spec(description="x")).folder


def test_records_are_ordered_by_their_settings_the_usual_axes_first() -> None:
    made = [
        *grid(sizes=(20, 100, 300)), *grid(sizes=(20,), fractions=(0.0,), seed=2), *epochs_grid((9, 10)),
        record("badnets", size=20, alphas=(0.5,), axes={"tbar.objective": "b", "tbar.steps": 2}),
        record("badnets", size=20, alphas=(0.1,), axes={"tbar.objective": "b", "tbar.steps": 2}),
        record("badnets", size=20, axes={"tbar.objective": "a", "tbar.steps": 10}),
        record("badnets", source="blended"),
    ]  # fmt: skip
    ordered = in_order(made)
    keys = [(r.attack, r.settings["source"] or "", r.forget_size, r.clean_fraction, r.seed) for r in ordered]
    assert keys == sorted(keys)
    epochs = [r.settings["model.training.epochs"] for r in ordered if "model.training.epochs" in r.settings]
    assert epochs == [9, 10, 9, 10], "by size, not as text"
    objectives = [(r.settings["tbar.objective"], r.alphas[0]) for r in ordered if "tbar.objective" in r.settings]
    assert objectives == [("a", 0.0), ("b", 0.1), ("b", 0.5)]
    shuffled = list(made)
    random.Random(0).shuffle(shuffled)
    assert {r.fingerprint for r in in_order(shuffled)} == {r.fingerprint for r in made}
    assert [r.settings for r in in_order(grid()[::-1])] == [r.settings for r in in_order(grid())]
