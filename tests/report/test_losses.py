"""What trainings lost is named, once for each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tbar_ray.report.losses import losses_of, lost
from tbar_ray.store.store import Store
from tests.records.records import record

TRAININGS = {"clean-model 1": "clean-model-1", "infected-model 2": "infected-model-2"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(str(tmp_path))
    problems = [f"k{number}: unreadable <b>" for number in range(5)]
    found: dict[str, dict[str, Any]] = {
        "clean-model-1": {"skipped": 5, "problems": problems},
        "infected-model-2": {"skipped": 0, "problems": []},
    }
    for name, facts in found.items():
        store.commit(name, store.scratch(), {"title": f"the {name}", "facts": facts})
    return store


def test_each_training_that_lost_something_is_named_once(store: Store) -> None:
    records = [record(size=size, trainings=TRAININGS) for size in (10, 20)]
    (loss,) = losses_of(records, store)
    assert str(loss) == (
        "the clean-model-1: 5 problems in the training data: "
        "k0: unreadable <b>; k1: unreadable <b>; k2: unreadable <b>; …"
    )
    section = lost(records, store)
    assert section.startswith("## What was lost")
    assert section.count("k0: unreadable &lt;b&gt;") == 1


def test_without_losses_there_is_no_section(store: Store) -> None:
    whole = record(trainings={"infected-model 2": "infected-model-2", "clean-model 9": "clean-model-9"})
    assert lost([whole], store) == ""
