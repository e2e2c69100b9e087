from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tbar_ray.records.launches import LaunchRecord
from tbar_ray.records.measures import StageUse
from tbar_ray.records.record import TrialRecord
from tbar_ray.records.stored import StoredCampaign
from tbar_ray.report.comparison import Difference, compare_campaigns
from tbar_ray.store.store import Store
from tests.records.records import failed, record
from tests.report.test_paired import keep

IMAGES = {"evaluation": "e", "split_seed": 0}


def campaign(store: Store, records: list[TrialRecord], spec: dict[str, Any] | None = None) -> StoredCampaign:
    return StoredCampaign(store, "campaigns/demo/abc", spec or {}, tuple(records), ())


def known(store: Store, made: TrialRecord, right: int, hits: int, **images: object) -> TrialRecord:
    """Keep a trial's predictions, and what its test images are."""
    scores = f"{made.fingerprint}-infected"
    store.commit(f"scores-{scores}", store.scratch(), {"identity": {**IMAGES, **images}})
    folder_facts = {"identity": {"infected": scores}}
    return keep(store, made, right, hits, facts=folder_facts)


@pytest.fixture
def stores(tmp_path: Path) -> tuple[Store, Store]:
    return Store(str(tmp_path / "a")), Store(str(tmp_path / "b"))


def test_trials_of_one_setting_are_tested_on_the_same_images(stores: tuple[Store, Store]) -> None:
    first, second = stores
    ours = known(first, record(), 12, 1)
    theirs = known(second, record(fingerprint="other"), 20, 9)
    (pair,) = compare_campaigns(campaign(first, [ours]), campaign(second, [theirs])).pairs
    assert pair.name == "badnets"
    assert not pair.same
    assert pair.tests["ca"].difference == pytest.approx(8 / 20), "the second less the first"
    assert pair.tests["asr"].difference == pytest.approx(8 / 16)
    assert pair.change("ca") == 0


def test_other_test_images_are_not_paired(stores: tuple[Store, Store]) -> None:
    first, second = stores
    ours = known(first, record(), 12, 1)
    theirs = known(second, record(fingerprint="other"), 12, 1, split_seed=1)
    (pair,) = compare_campaigns(campaign(first, [ours]), campaign(second, [theirs])).pairs
    assert pair.tests == {}


def test_the_same_computation_is_said_and_what_has_no_match_is_counted(stores: tuple[Store, Store]) -> None:
    first, second = stores
    found = compare_campaigns(
        campaign(first, [record(), record(size=20)]), campaign(second, [record(), failed(size=300)])
    )
    assert [(pair.same, pair.name) for pair in found.pairs] == [(True, "badnets, forget set 100")]
    assert [made.forget_size for made in found.only_first] == [20]
    assert [made.forget_size for made in found.only_second] == [300]


def test_of_trials_that_differ_in_what_only_one_has_the_best_is_compared(stores: tuple[Store, Store]) -> None:
    first, second = stores
    weak = record(axes={"tbar.steps": 1}, alphas=(0.0, 0.1))
    found = compare_campaigns(campaign(first, [weak, record(axes={"tbar.steps": 9})]), campaign(second, [record()]))
    assert [pair.first.settings["tbar.steps"] for pair in found.pairs] == [9]


def test_spec_code_and_data_are_told_apart(stores: tuple[Store, Store]) -> None:
    store, _ = stores
    uses = []
    for name, version in (("old", 3), ("new", 4)):
        identity = {"kind": "path", "version": version, "evaluation": "same", "max_images": version}
        store.commit(f"path-{name}", store.scratch(), {"identity": identity})
        uses.append(record(stages=(StageUse(artifact=f"path-{name}", seconds=1, cpus=1),)))
    launch = LaunchRecord(started="", code="tbar-ray 1", python="3", machine="", command="")
    one = campaign(store, uses[:1], {"name": "a", "poison": {"rate": 0.1, "count": None}, "seed": 0})
    two = StoredCampaign(
        store, "campaigns/b/x", {"name": "b", "poison": {"rate": 0.2}, "seed": 0}, (uses[1],), (launch,)
    )
    found = compare_campaigns(one, two)
    assert found.spec == (Difference("poison.rate", "0.1", "0.2"),), "not the name, nor what is not set"
    assert found.code == (
        Difference("version of stage path", "3", "4"), Difference("launched with", None, "tbar-ray 1"),
    )  # fmt: skip
    assert found.data == (Difference("max images", "3", "4"),)
