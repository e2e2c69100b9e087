"""A whole rehearsal on a real local Ray, of a campaign whose data and weights are not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from tbar_ray.cli.main import app
from tbar_ray.exit_codes import ExitCode
from tests.specs import content

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

SPEC: dict[str, Any] = {
    "data": {"train": "/nowhere/{00000..00331}.tar", "evaluation": "/nowhere/imagenet1k"},
    "model": {"architecture": "tbar-GN-pico", "pretrained": "scenes"},
    "attacks": {
        "badnets": {"trigger": "badnets", "target": "banana", "parameters": {"patch_size": 16}},
        "own": {"trigger": "cleanclip/label-consistent", "target": "banana"},
    },
    "poison": {"count": 1500, "pairs": 500_000, "min_asr": 0.9},
    "forget": {"size": 1500, "clean_fraction": 0.5},
    "unlearning": {"method": "tbar", "parameters": {"steps": 200, "objective": "contrastive"}},
    "evaluation": {"templates": "openai", "max_asr": 0.01},
    "search": {"axes": {"attack": ["badnets", "own"], "forget_size": [300, 1500]}},
    "resources": {"training_cpus": 8, "trial_cpus": 4, "gpus": 1},
}


def run(folder: Path, **changes: Any) -> tuple[int, str]:
    path = folder / "spec.yaml"
    path.write_text(yaml.safe_dump(content(**{**SPEC, **changes})))
    words = ["campaign", "run", str(path), "--rehearse", "--store", str(folder / "real store")]
    result = CliRunner().invoke(app, words)
    assert not (folder / "real store").exists()
    return result.exit_code, " ".join(result.output.split())


def test_every_stage_is_tried_and_told(tmp_path: Path, local_ray: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TBAR_HOME", str(tmp_path / "home"))
    code, told = run(tmp_path)
    assert code == ExitCode.DONE, told
    for kind in ("visibility", "scores", "infected-model", "gate", "vector", "path"):
        assert f" {kind} " in told
    assert "GB" in told
    assert "rehearsed: 2 trials with 2 attacks and 1 method in" in told
    assert "0 failed" in told
    assert "data are not here: " in told
    assert "weights: random ones of tbar-GN-pico" in told
    assert not (tmp_path / "home").exists()


def test_a_mistake_that_only_a_stage_finds_is_told(tmp_path: Path, local_ray: None) -> None:
    unlearning = {"method": "tbar", "parameters": {"objective": "classification"}}
    code, told = run(tmp_path, unlearning=unlearning, search={"axes": {"attack": ["own"]}})
    assert code == ExitCode.PROBLEMS, told
    assert "1 failed" in told
    assert "failed: own, tbar: forget set: " in told
    assert "The method classifies clean images, of which only those count whose class label is one of" in told
