from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tbar_ray.errors import StoreError
from tbar_ray.report.predictions import compared, read_predictions
from tbar_ray.store.store import Store
from tests.records.records import record
from tests.report.test_paired import LABELS, TARGET, keep


def test_answers_are_read_and_none_where_there_are_none(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    made = keep(store, record(), 12, 3)
    found = read_predictions(made.path_artifact, store)
    assert found is not None
    assert found["labels"].tolist() == LABELS
    assert int(found["target"]) == TARGET
    assert read_predictions("path-gone", store) is None
    old = keep(store, record(method="old"), 9, 0, target=None)
    assert read_predictions(old.path_artifact, store) is None


def test_what_is_no_archive_is_one_line(tmp_path: Path) -> None:
    store, folder = Store(str(tmp_path)), None
    folder = store.scratch()
    (folder / "predictions.npz").write_bytes(b"no archive")
    store.commit("path-x", folder, {})
    with pytest.raises(StoreError, match=r"path-x/predictions\.npz cannot be read"):
        read_predictions("path-x", store)


def test_answers_to_other_images_are_not_compared() -> None:
    labels = np.array([0, 1, 1])
    one = {"labels": labels, "clean": labels, "triggered": 0 * labels, "target": np.array(0)}
    assert set(compared(one, one)) == {"ca", "asr"}
    assert compared(one, {**one, "labels": labels[::-1]}) == {}
    assert compared(one, {**one, "target": np.array(1)}) == {}
    assert compared(one, None) == {}
