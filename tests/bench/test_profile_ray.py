"""The profile of a whole small campaign, as a user asks for it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tbar_ray.cli.main import main
from tests.specs import write

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(600)]

TRAINING = {"epochs": 1, "batch_size": 32, "optimisation": {"learning_rate": 1e-3, "warmup_steps": 1}}


def test_a_profile_tells_stages_trainings_and_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = write(
        tmp_path,
        data={"synthetic": {"samples": 240, "size": 64, "per_class": 2, "samples_per_shard": 60}},
        model={"architecture": "tbar-RN-pico", "training": TRAINING},
        poison={"rate": 0.1, "min_asr": 0, "max_ca_drop": 1, "captions": "evaluation", "training": TRAINING},
        forget={"size": 8},
        alpha=[0, 1],
        evaluation={"min_retention": 0, "validation_fraction": 0.5},
        unlearning={"method": "tbar", "parameters": {"steps": 2, "batch_size": 8}},
        search={"axes": {"attack": ["badnets"]}},
        resources={"training_cpus": 1},
    )
    kept, figure = tmp_path / "kept", tmp_path / "profile.png"
    words = ["campaign", "profile", str(spec), "--folder", str(kept), "--figure", str(figure), "--json"]
    monkeypatch.setattr(sys, "argv", ["tbar", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code in (0, None)
    told = json.loads(capsys.readouterr().out)
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert (kept / "report" / "report.md").is_file()
    assert {"clean-model", "infected-model", "vector", "path"} <= set(told["kinds"])
    assert 0 < told["busy"] <= 1
    assert len(told["trainings"]) == 2
    for training in told["trainings"]:
        assert training["images_per_second"] > 0
        assert 0 <= training["waiting_share"] < 1
        assert 0 < training["utilisation"] < 1
    (trial,) = told["trials"]
    assert trial["status"] == "done"
