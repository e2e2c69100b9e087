from __future__ import annotations

from pathlib import Path

import pytest

from tbar_ray import __version__
from tbar_ray.errors import StoreError
from tbar_ray.records.launches import launches_of, note_launch
from tbar_ray.store.store import Store

FOLDER = "campaigns/demo/abc"


def test_launches_are_kept_in_their_order_without_secrets(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    assert launches_of(store, FOLDER) == []
    words = ["/usr/bin/tbar", "campaign", "run", "s3://user:secret@host/job.yaml"]
    made = [note_launch(store, FOLDER, words), note_launch(store, FOLDER, words[:3])]
    assert launches_of(store, FOLDER) == made
    assert made[0].command.startswith("tbar campaign run ")
    assert "secret" not in made[0].command
    assert f"tbar-ray {__version__}" in made[0].code
    assert "CPUs" in made[0].machine


def test_a_broken_one_is_one_line(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.write_json(f"{FOLDER}/launches/1.json", {"started": "today"})
    with pytest.raises(StoreError, match=r"launches/1\.json is broken; remove it"):
        launches_of(store, FOLDER)
