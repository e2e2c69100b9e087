from __future__ import annotations

from pathlib import Path

import pytest

from tbar_ray.errors import StoreError
from tbar_ray.records.ledger import Ledger
from tbar_ray.records.stored import find_campaign, identity_of
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.store.store import Store
from tests.records.records import record
from tests.report.campaign import SPEC


def kept(store: Store, spec: CampaignSpec = SPEC) -> str:
    """Keep a campaign of one trial; return its name and fingerprint."""
    ledger = Ledger(store, spec)
    ledger.open()
    ledger.write(record())
    return ledger.folder.removeprefix("campaigns/")


def test_a_campaign_is_found_by_its_name_and_the_beginning_of_its_fingerprint(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    first = kept(store)
    found = find_campaign(store, "demo")
    assert found.name == first
    assert found.records == (record(),)
    assert found.spec["name"] == "demo"
    assert len(found.launches) == 1
    second = kept(store, SPEC.model_copy(update={"seed": 7}))
    assert find_campaign(store, second[:8]).name == second
    with pytest.raises(StoreError, match=rf"has 2 campaigns 'demo'; give one of: .*{second} \(1 trials\)"):
        find_campaign(store, "demo")


def test_a_name_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    with pytest.raises(StoreError, match="no campaign 'demo'; it has none"):
        find_campaign(store, "demo")
    kept(store)
    with pytest.raises(StoreError, match=r"no campaign 'dmo'; did you mean 'demo'\?"):
        find_campaign(store, "dmo")


def test_test_images_are_what_the_scores_of_the_infected_model_say(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    kept(store)
    found, made = find_campaign(store, "demo"), record()
    assert found.test_images(made) is None
    store.commit(made.path_artifact, store.scratch(), {"identity": {"infected": "abc"}})
    store.commit("scores-abc", store.scratch(), {"identity": {"evaluation": "e", "split_seed": 3, "role": "x"}})
    images = found.test_images(made)
    assert images is not None
    assert (images["evaluation"], images["split_seed"], images["max_images"]) == ("e", 3, None)
    assert identity_of(store, "scores-gone") is None
