"""`tbar scan`: verdict, files, exit codes, and one line for every bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from click.testing import Result
from typer.testing import CliRunner

import tbar_ray as tbar
from tbar_ray.cli.main import app
from tbar_ray.detection.calibration import save_calibration
from tbar_ray.errors import CheckpointError, DataError, SpecError, TbarError
from tbar_ray.exit_codes import ExitCode
from tests.api.world import labelled, write_folder
from tests.detection.zoo import FAR, leaning
from tests.models.tiny import GROUP_NORM, snapshot, tiny


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint, its image encoder alone, images, and calibrations by what they say of every model."""
    folder = tmp_path_factory.mktemp("scan")
    model = tbar.Model(tiny(GROUP_NORM), GROUP_NORM)
    model.save(folder / "suspect.pt")
    state = snapshot(model.module)
    torch.save({name: state[name] for name in state if name.startswith("visual.")}, folder / "tower.pt")
    write_folder(folder / "photos", *labelled(40, 3, model))
    write_folder(folder / "few", *labelled(8, 3, model))
    (folder / "pickle.pt").write_bytes(b"\x80\x04cos\nsystem\n(S'touch /tmp/never'\ntR.")
    (folder / "templates.txt").write_text("a {} thing\n")
    for outcome in FAR:
        save_calibration(leaning(outcome), folder / f"{outcome}.json")
    return folder


def scan(place: Path, out: Path, *words: str, checkpoint: str = "suspect.pt", data: str = "photos") -> Result:
    named = ["--architecture", GROUP_NORM, "--data", str(place / data), "--out", str(out)]
    prompts = ["--templates", str(place / "templates.txt")]
    return CliRunner().invoke(app, ["scan", str(place / checkpoint), *named, *prompts, *words])


@pytest.mark.parametrize(
    ("outcome", "code", "said"),
    [
        ("no evidence", ExitCode.DONE, "No evidence of a backdoor was found"),
        ("infected", ExitCode.PROBLEMS, "This model is infected"),
        ("inconclusive", 3, "Inconclusive"),
    ],
)
def test_the_verdict_comes_first_and_is_the_exit_code(
    place: Path, tmp_path: Path, outcome: str, code: int, said: str
) -> None:
    result = scan(place, tmp_path / "out", "--calibration", str(place / f"{outcome}.json"))
    assert result.exit_code == code, result.output
    assert result.stdout.startswith(said)
    lines = " ".join(result.stdout.split())
    assert "target: " in lines
    assert "of the clean reference models" in lines.lower()
    assert "This will take" in result.stderr
    assert json.loads((tmp_path / "out" / "scan.json").read_text())["verdict"]["outcome"] == outcome
    assert said in (tmp_path / "out" / "scan.html").read_text()


def test_json_is_the_record_and_nothing_else(place: Path, tmp_path: Path) -> None:
    words = ["--json", "--search", "universal-noise", "--max-images", "33"]
    result = scan(place, tmp_path / "out", "--calibration", str(place / "infected.json"), *words)
    told = json.loads(result.stdout)
    assert list(told["searches"]) == ["universal-noise"]
    assert told["images"] == 33
    written = json.loads((tmp_path / "out" / "scan.json").read_text())
    assert {**told, "created": ""} == {**written, "created": ""}


def test_an_image_encoder_alone_has_no_target(place: Path, tmp_path: Path) -> None:
    result = scan(place, tmp_path / "out", "--calibration", str(place / "infected.json"), checkpoint="tower.pt")
    assert result.exit_code == ExitCode.PROBLEMS, result.output
    assert "target: unknown: an image encoder alone is asked about no class" in result.stdout


def test_the_folder_is_named_after_the_checkpoint_and_images_are_named_as_for_unlearn(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["--architecture", GROUP_NORM, "--images", str(place / "photos"), "--search", "universal-noise"]
    calibration = ["--calibration", str(place / "infected.json"), "--templates", str(place / "templates.txt")]
    CliRunner().invoke(app, ["scan", str(place / "suspect.pt"), *words, *calibration])
    assert (tmp_path / "suspect.scan" / "scan.html").exists()


@pytest.mark.parametrize(
    ("given", "words", "kind", "said"),
    [
        ({"data": "few"}, [], DataError, "needs 32 clean images or more, got 8"),
        ({"data": "nowhere"}, [], DataError, "nowhere"),
        ({"checkpoint": "nowhere.pt"}, [], CheckpointError, "nowhere.pt"),
        ({"checkpoint": "pickle.pt"}, [], CheckpointError, "pickle.pt"),
        ({}, ["--search", "decre"], SpecError, "did you mean 'decree'"),
        ({}, ["--calibration", "nowhere.json"], DataError, "nowhere.json: No such file or directory; make one with"),
        ({"checkpoint": "tower.pt"}, ["--search", "universal-noise"], SpecError, "is an image encoder alone"),
        ({}, ["--out", "nowhere/else"], SpecError, "there is no folder .*nowhere; make it first"),
        ({}, ["--classes", "nowhere.txt"], DataError, "--classes nowhere.txt: No such file"),
    ],
)
def test_bad_input_is_one_line(
    place: Path, tmp_path: Path, given: dict[str, str], words: list[str], kind: type[TbarError], said: str
) -> None:
    result = scan(place, tmp_path / "out", "--calibration", str(place / "infected.json"), *words, **given)
    assert isinstance(result.exception, kind), result.output
    assert "\n" not in str(result.exception)
    with pytest.raises(kind, match=said):
        raise result.exception
    assert not (tmp_path / "out").exists()
    assert not Path("/tmp/never").exists()
