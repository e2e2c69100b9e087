"""The three files of a cleaned model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import tbar_ray as tbar
from tbar_ray.errors import SpecError
from tbar_ray.onemodel.panels import Panels
from tbar_ray.onemodel.remove import Cleaned
from tbar_ray.onemodel.saving import save_cleaned
from tests.api.world import BACKDOOR
from tests.models.tiny import WIDE
from tests.onemodel.conftest import Files
from tests.onemodel.test_report import REBOUND


def test_the_written_file_has_the_reported_scores(files: Files, cleaned: Cleaned, tmp_path: Path) -> None:
    saved = save_cleaned(cleaned, tmp_path / "out.pt", command=["tbar", "unlearn"])
    assert saved.files == (tmp_path / "out.pt",)
    assert saved.manifest == tmp_path / "out.pt.manifest.json"
    assert saved.report == tmp_path / "out.html"
    again = tbar.load_model(WIDE, tmp_path / "out.pt", device="cpu")
    assert tbar.evaluate(again, cleaned.examined.test, BACKDOOR) == cleaned.after.scores
    before = torch.load(files.checkpoint, weights_only=True)["state_dict"]
    after = torch.load(tmp_path / "out.pt", weights_only=True)["state_dict"]
    assert before.keys() == after.keys()
    touched = {name for name in before if not torch.equal(before[name], after[name])}
    assert touched
    assert all(name.startswith("module.visual.") for name in touched)
    told = json.loads(saved.manifest.read_text())
    assert (told["command"], told["alpha"]) == (["tbar", "unlearn"], cleaned.alpha)


def test_panels_and_the_place_of_the_report_may_be_given(cleaned: Cleaned, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    saved = save_cleaned(cleaned, tmp_path / "out.safetensors", report=page, panels=Panels(rebound=(REBOUND,)))
    assert saved.report == page
    assert "Does it come back?" in page.read_text()


def test_the_checkpoint_itself_is_kept(files: Files, cleaned: Cleaned) -> None:
    before = files.checkpoint.read_bytes()
    with pytest.raises(SpecError, match="is the checkpoint itself, which is kept"):
        save_cleaned(cleaned, files.checkpoint)
    assert files.checkpoint.read_bytes() == before
