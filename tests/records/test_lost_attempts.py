from __future__ import annotations

from pathlib import Path

import pytest

from tbar_ray.errors import StoreError
from tbar_ray.execution.calls import StageStatus
from tbar_ray.records.lost_attempts import LostAttempt, lost_attempts_of, note_lost
from tbar_ray.store.store import Store

FOLDER = "campaigns/demo/1234"


def test_what_an_attempt_held_and_what_of_it_was_wasted() -> None:
    status = StageStatus("clean", "clean-model", "running", started=1000.0, cpus=4, gpus=0.5)
    whole = status.lost("process", 8200.0)
    assert (whole.seconds, whole.cpu_hours, whole.gpu_hours) == (7200, 8, 1)
    assert (whole.wasted_cpu_hours, whole.wasted_gpu_hours) == (8, 1), "it has kept no checkpoint"
    status.kept = 6400.0
    rest = status.lost("node", 8200.0)
    assert (rest.cpu_hours, rest.wasted_cpu_hours, rest.wasted_gpu_hours) == (8, 2, 0.25)
    status.started = 7300.0
    assert status.lost("node", 8200.0).wasted_cpu_hours == 1, "that checkpoint was of an earlier attempt"
    assert StageStatus("path", "path").lost("launch", 8200.0).seconds == 0, "it had not begun"


def test_the_attempts_of_all_launches_are_read_in_their_order(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    assert lost_attempts_of(store, FOLDER) == []
    first, second, third = (
        LostAttempt(title=title, cause="launch", seconds=2, wasted=1, cpus=1, gpus=0) for title in "abc"
    )
    note_lost(store, FOLDER, [first, second])
    note_lost(store, FOLDER, [third])
    assert lost_attempts_of(store, FOLDER) == [first, second, third]
    (name,) = store.list_json(f"{FOLDER}/lost")[:1]
    store.write_json(f"{FOLDER}/lost/{name}", [{"title": "a"}])
    with pytest.raises(StoreError, match=rf"{FOLDER}/lost/{name} is broken; remove it$"):
        lost_attempts_of(store, FOLDER)
