from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from tbar_ray.campaign import best_models
from tbar_ray.campaign.best_models import FILE, log_best_models
from tbar_ray.errors import StoreError
from tbar_ray.records.record import TrialRecord
from tbar_ray.store.store import Store
from tests.records.records import failed, record
from tests.specs import spec

RECORDS = [
    record("badnets", 10), record("badnets", 500), record("blended", 20), failed("wanet"),
]  # fmt: skip


class Heard:
    """A recording that has some models already."""

    def __init__(self, *has: str) -> None:
        self.has, self.logged = has, list[tuple[str, bytes]]()

    def without_model(self, records: Sequence[TrialRecord]) -> list[TrialRecord]:
        return [one for one in records if one.fingerprint not in self.has]

    def log_model(self, one: TrialRecord, folder: Path) -> None:
        self.logged.append((one.fingerprint, (folder / FILE).read_bytes()))


@pytest.fixture(autouse=True)
def exported(monkeypatch: pytest.MonkeyPatch) -> None:
    """An export writes the name of its trial."""

    def export(_spec: Any, _store: Any, out: Path, trial: str) -> None:
        if "blended" in trial:
            raise StoreError("store: vector-1 is gone")
        out.write_bytes(trial.encode())

    monkeypatch.setattr(best_models, "export_trial", export)


def logged(tmp_path: Path, recording: Heard, *, wanted: bool | None, **changes: Any) -> list[str]:
    """Log the models; return the lines that were said."""
    said: list[str] = []
    store = Store(str(tmp_path / "store"))
    log_best_models(
        spec(**changes), store, RECORDS, cast(Any, recording), tmp_path, said.append, wanted=wanted
    )  # fmt: skip
    return said


def test_the_best_model_of_each_attack_is_logged_and_what_cannot_be_made_is_said(tmp_path: Path) -> None:
    recording = Heard()
    said = logged(tmp_path, recording, wanted=None)
    best = RECORDS[1].fingerprint  # of two sizes it has less ASR on validation
    assert recording.logged == [(best, best.encode())]
    assert len(said) == 1
    assert said[0].startswith("the model of blended, tbar, forget set 20")
    assert said[0].endswith("is not logged: store: vector-1 is gone")


def test_one_that_is_there_is_not_made_again(tmp_path: Path) -> None:
    recording = Heard(*(one.fingerprint for one in RECORDS))
    assert logged(tmp_path, recording, wanted=True) == []
    assert recording.logged == []


@pytest.mark.parametrize(("wanted", "count"), [(None, 0), (True, 1), (False, 0)])
def test_a_large_model_is_logged_where_it_is_asked_for(tmp_path: Path, wanted: bool | None, count: int) -> None:
    recording = Heard()
    logged(tmp_path, recording, wanted=wanted, model__architecture="ViT-B-32")
    assert len(recording.logged) == count


def test_a_small_one_is_not_where_nobody_wants_it(tmp_path: Path) -> None:
    recording = Heard()
    logged(tmp_path, recording, wanted=False)
    assert recording.logged == []
