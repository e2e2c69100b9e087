"""`tbar campaign export`, on a campaign that was computed without Ray."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from tbar_ray.cli.main import app, main
from tbar_ray.records.ledger import Ledger
from tbar_ray.store.store import Store
from tests.campaign.test_export import campaign, computed, folder  # noqa: F401 - a fixture


def test_it_writes_the_best_trial_and_says_which(folder: Path, tmp_path: Path) -> None:  # noqa: F811
    made, store, record = computed(folder, "tbar")
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump(made.model_dump(mode="json", exclude_unset=True)))
    out = tmp_path / "cleaned.pt"
    result = CliRunner().invoke(app, ["campaign", "export", str(path), "--store", store.url, "--out", str(out)])
    assert result.exit_code == 0, result.output
    first, *written = result.stdout.splitlines()
    assert first.startswith(f"trial     {record.fingerprint[:8]} badnets, tbar, ")
    assert first.endswith("of 1 trials the best on validation: enough CA kept, then least ASR, then most CA")
    assert written == [f"written   {out}", f"written   {out}.manifest.json"]
    assert out.exists()


def test_a_wrong_trial_is_one_line(
    folder: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    made, store, _ = computed(folder, "tbar")
    assert Ledger(Store(store.url), made).read()
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump(made.model_dump(mode="json", exclude_unset=True)))
    words = ["export", str(path), "--store", store.url, "--out", str(tmp_path / "x.pt"), "--trial", "wanet"]
    monkeypatch.setattr(sys, "argv", ["tbar", "campaign", *words])
    with pytest.raises(SystemExit) as caught:
        main()
    (line,) = capsys.readouterr().err.splitlines()
    assert caught.value.code == 2
    assert "no trial 'wanet'; give a fingerprint or more of a name: " in line
