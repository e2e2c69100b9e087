"""`tbar unlearn`: files, exit codes, and one line for every bad input."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import torch
from click.testing import Result
from typer.testing import CliRunner

import tbar_ray as tbar
from tbar_ray.cli.main import app
from tbar_ray.detection.calibration import save_calibration
from tbar_ray.errors import CheckpointError, DataError, ScientificError, SpecError, TbarError
from tbar_ray.exit_codes import ExitCode
from tests.api.world import CLASSES, labelled, write_benchmark, write_folder
from tests.detection.zoo import leaning
from tests.models.formats.published import hub
from tests.models.tiny import GROUP_NORM, VIT, snapshot, tiny

QUICK = [
    "--method", "tbar", "--parameter", "steps=1", "--parameter", "batch_size=4", "--forget", "4", "--alphas", "0,1",
    "--min-retention", "0",
]  # fmt: skip
TRIGGER = ["--trigger", "badnets", "--trigger-parameter", "patch_size=56", "--target", "blue"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with a prefix, a folder a class, a flat folder and a labelled set."""
    folder = tmp_path_factory.mktemp("unlearn")
    model = tbar.Model(tiny(GROUP_NORM), GROUP_NORM)
    state = {f"module.{name}": value for name, value in snapshot(model.module).items()}
    torch.save({"epoch": 1, "state_dict": state}, folder / "suspect.pt")
    images, labels = labelled(24, 3, model)
    write_folder(folder / "folder", images, labels)
    write_folder(folder / "tmp", images[:8], [0] * 8).joinpath("red").rename(folder / "flat")
    write_benchmark(folder / "labelled", *labelled(24, 9, model))
    (folder / "templates.txt").write_text("a {} thing\n")
    return folder


def unlearn(place: Path, *words: str, checkpoint: str = "suspect.pt", architecture: str = GROUP_NORM) -> Result:
    named = ["--architecture", architecture, "--images", str(place / "folder"), *QUICK]
    return CliRunner().invoke(app, ["unlearn", str(place / checkpoint), *named, *words])


def error_of(result: Result) -> TbarError:
    assert isinstance(result.exception, TbarError), result.output
    assert "\n" not in str(result.exception)
    return result.exception


def test_it_leaves_a_checkpoint_a_manifest_and_a_report(place: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.pt"
    words = ["--evaluation", str(place / "labelled"), *TRIGGER, "--force", "--out", str(out)]
    result = unlearn(place, *words)
    assert result.exit_code in (ExitCode.DONE, ExitCode.PROBLEMS), result.output
    for line in ("cleaned", "manifest", "report", "on test images", "α "):
        assert line in result.stdout
    before = torch.load(place / "suspect.pt", weights_only=True)["state_dict"]
    after = torch.load(out, weights_only=True)["state_dict"]
    assert after.keys() == before.keys()
    manifest = json.loads((tmp_path / "out.pt.manifest.json").read_text())
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert bool(changed) == (manifest["alpha"] > 0)
    assert all(name.startswith("module.visual.") for name in changed)
    assert manifest["command"][0] == "tbar"
    assert "<h1>" in (tmp_path / "out.html").read_text()


def test_a_folder_comes_back_as_a_folder(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    came = hub(snapshot(tiny(VIT)), tmp_path)
    monkeypatch.chdir(tmp_path)
    words = ["--evaluation", str(place / "labelled"), *TRIGGER, "--force"]
    result = unlearn(place, *words, checkpoint=str(came), architecture=VIT)
    assert result.exit_code in (ExitCode.DONE, ExitCode.PROBLEMS), result.output
    assert {path.name for path in (tmp_path / "hub.cleaned").iterdir()} == {path.name for path in came.iterdir()}
    assert (tmp_path / "hub.cleaned.manifest.json").exists()
    assert (tmp_path / "hub.cleaned.html").exists()
    again = unlearn(place, *words, "--out", str(came), checkpoint=str(came), architecture=VIT)
    assert "is the checkpoint itself, which is kept" in str(error_of(again))


def test_it_says_beforehand_how_long_it_takes_and_what_is_derived(place: Path, tmp_path: Path) -> None:
    words = [*TRIGGER, "--templates", str(place / "templates.txt"), "--force", "--out", str(tmp_path / "out.pt")]
    result = unlearn(place, *words, "--report", str(tmp_path / "page.html"))
    assert result.exit_code in (ExitCode.DONE, ExitCode.PROBLEMS), result.output
    assert "This will take " in result.stderr
    assert "12 of the 24 images are held out" in " ".join(result.stderr.split())
    assert (tmp_path / "page.html").exists()


def test_a_clean_model_is_refused_with_a_code_of_its_own(place: Path, tmp_path: Path) -> None:
    words = ["--evaluation", str(place / "labelled"), *TRIGGER, "--min-asr", "1", "--out", str(tmp_path / "out.pt")]
    result = unlearn(place, *words)
    assert result.exit_code == ExitCode.NO_BACKDOOR, result.output
    assert "no backdoor was found under this trigger" in " ".join(result.stderr.split())
    assert not (tmp_path / "out.pt").exists()
    assert "No backdoor was found" in (tmp_path / "out.html").read_text()


@pytest.fixture(scope="module")
def scanned(place: Path) -> Path:
    """A scan of the checkpoint by searches that end at once, which finds it infected."""
    save_calibration(leaning("infected"), place / "calibration.json")
    images, _ = labelled(40, 3, tbar.Model(tiny(GROUP_NORM), GROUP_NORM))
    found = tbar.scan(
        place / "suspect.pt", images, CLASSES, architecture=GROUP_NORM, calibration=place / "calibration.json"
    )
    return tbar.save_scan(found, place / "suspect.scan").record


def with_outcome(record: Path, folder: Path, outcome: str) -> Path:
    """Write the record of a scan that ended otherwise."""
    content = json.loads(record.read_text())
    content["verdict"]["outcome"] = outcome
    (folder / "scan.json").write_text(json.dumps(content))
    return folder


def test_the_trigger_that_a_scan_found_is_unlearned_and_the_model_scanned_again(
    place: Path, tmp_path: Path, scanned: Path
) -> None:
    many = write_folder(tmp_path / "many", *labelled(64, 4, tbar.Model(tiny(GROUP_NORM), GROUP_NORM)))
    words = ["--evaluation", str(place / "labelled"), "--from-scan", str(scanned.parent), "--target", "blue", "--force"]
    result = unlearn(place, *words, "--images", str(many), "--out", str(tmp_path / "out.pt"))
    assert result.exit_code == ExitCode.PROBLEMS, result.output  # the second scan finds it infected, as every model
    assert "scanned again: This model is infected" in result.stdout
    page = (tmp_path / "out.html").read_text()
    assert "The trigger that universal-noise found" in page
    assert "a second scan calls the cleaned model infected.</h1>" in page
    assert ' costly">' in page
    assert "The cleaned model was scanned again: This model is infected" in page
    assert "The trigger was found by a search" in page
    assert "<h2>Detectors</h2>" in page
    assert "<h2>The cleaned file, scanned again</h2>" in page
    assert "Not measured for this report: whether" in page
    manifest = json.loads((tmp_path / "out.pt.manifest.json").read_text())
    assert (manifest["backdoor"]["trigger"]["name"], manifest["backdoor"]["target"]) == ("proxy", "blue")
    assert len(manifest["backdoor"]["trigger"]["added"]) == 64  # its hash, not ten thousand letters


def test_a_model_in_which_a_scan_found_nothing_is_refused(place: Path, tmp_path: Path, scanned: Path) -> None:
    clean = with_outcome(scanned, tmp_path, "no evidence")
    words = ["--evaluation", str(place / "labelled"), "--target", "blue", "--out", str(tmp_path / "out.pt")]
    result = unlearn(place, *words, "--from-scan", str(clean))
    assert result.exit_code == ExitCode.NO_BACKDOOR, result.output
    assert "refused: " in result.stderr
    assert "the scan found no evidence of a backdoor" in " ".join(result.stderr.split())
    assert not (tmp_path / "out.pt").exists()


def test_a_trigger_that_was_found_in_another_file_is_refused(place: Path, tmp_path: Path, scanned: Path) -> None:
    tbar.Model(tiny(GROUP_NORM, seed=1), GROUP_NORM).save(tmp_path / "other.pt")
    words = ["--evaluation", str(place / "labelled"), "--from-scan", str(scanned), "--target", "blue"]
    error = error_of(unlearn(place, *words, checkpoint=str(tmp_path / "other.pt")))
    assert isinstance(error, DataError)
    assert "is not the file that was scanned" in str(error)


def test_a_scan_brings_its_own_trigger(place: Path, scanned: Path) -> None:
    error = error_of(unlearn(place, *TRIGGER, "--from-scan", str(scanned)))
    assert isinstance(error, SpecError)
    assert "leave --trigger and --trigger-parameter out" in str(error)


def test_a_method_that_does_not_remove_it_ends_with_problems(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tbar_ray.onemodel.verdict.outcome_of", lambda *_: "not removed")
    words = ["--evaluation", str(place / "labelled"), *TRIGGER, "--force", "--out", str(tmp_path / "out.pt")]
    result = unlearn(place, *words)
    assert result.exit_code == ExitCode.PROBLEMS
    assert (tmp_path / "out.pt").exists()


def test_what_was_cleaned_is_told_where_the_rebound_cannot_be_measured(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverge(*_: object, **__: object) -> None:
        raise ScientificError("rebound at learning rate 9: training diverged")

    monkeypatch.setattr("tbar_ray.onemodel.rebound.measure_cleaned", diverge)
    words = ["--evaluation", str(place / "labelled"), *TRIGGER, "--force", "--out", str(tmp_path / "out.pt")]
    result = unlearn(place, *words, "--rebound", "3")
    assert result.exit_code == ExitCode.PROBLEMS, result.output
    assert "the rebound was not measured: rebound at learning rate 9" in " ".join(result.output.split())
    for line in ("cleaned", "manifest", "report", "on test images"):
        assert line in result.stdout


@pytest.mark.parametrize(
    ("words", "kind", "said"),
    [
        (["--images", "EMPTY", *TRIGGER], DataError, "EMPTY"),
        (["--images", "nowhere/*.tar", *TRIGGER], DataError, "nowhere"),
        (["--evaluation", "SET", *TRIGGER[:-1], "bleu"], DataError, "did you mean 'blue'"),
        (["--evaluation", "SET", *TRIGGER, "--templates", "WRONG"], DataError, r"template 'a photo' has no \{\}"),
        (["--evaluation", "SET", *TRIGGER, "--method", "tbr"], SpecError, "did you mean 'tbar'"),
        (["--evaluation", "SET", *TRIGGER, "--parameter", "step=3"], SpecError, "did you mean 'steps'"),
        (["--evaluation", "SET", *TRIGGER, "--alphas", "0,one"], SpecError, "write numbers with commas"),
        (["--evaluation", "SET", *TRIGGER, "--out", "x.onnx"], SpecError, r"end its name in \.safetensors"),
        (["--evaluation", "SET", "--trigger", "badnet", "--target", "blue"], SpecError, "did you mean 'badnets'"),
        (
            ["--evaluation", "SET", "--target", "blue"],
            SpecError,
            "give the suspected trigger.*`tbar scan`",
        ),
        (["--evaluation", "SET", *TRIGGER, "--force", "--forget", "500"], DataError, "500 images asked for, but only"),
        (["--evaluation", "FLAT", *TRIGGER], DataError, "lies in no class's subfolder"),
        (["--evaluation", "SET", *TRIGGER, "--clean-fraction", "1"], SpecError, r"give a share in \[0, 1\)"),
        (
            ["--images", "nowhere/*.tar", *TRIGGER, "--rebound", "3", "--rebound-rate", "-1"],
            SpecError,
            "rebound: learning_rate: Input should be greater than 0",
        ),
    ],
)
def test_bad_input_is_one_line(place: Path, tmp_path: Path, words: list[str], kind: type, said: str) -> None:
    (tmp_path / "wrong.txt").write_text("a photo\n")
    (tmp_path / "EMPTY").mkdir()
    names = {
        "SET": place / "labelled", "FLAT": place / "flat", "EMPTY": tmp_path / "EMPTY", "WRONG": tmp_path / "wrong.txt",
    }  # fmt: skip
    error = error_of(unlearn(place, *(str(names.get(word, word)) for word in words)))
    assert isinstance(error, kind)
    with pytest.raises(kind, match=said):
        raise error


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (
            "truncated",
            r"is not a readable torch checkpoint \([^.]*\): if its copy or download broke off, fetch it again$",
        ),
        ("nan", "tensors hold NaN or infinity"),
        ("architecture", f"is not a checkpoint of {VIT}"),
        (
            "half",
            rf"is not a checkpoint of {GROUP_NORM}: keys \d+ missing \(e\.g\. .*\); found \d+ tensors, expected \d+",
        ),
        ("mixed", r"5 of \d+ names begin with 'module\.' and the others do not: name all alike"),
        ("tar", "is a tar archive"),
    ],
)
def test_a_bad_checkpoint_is_one_line(place: Path, tmp_path: Path, damage: str, said: str) -> None:
    content = torch.load(place / "suspect.pt", weights_only=True)
    state = content["state_dict"]
    if damage == "nan":
        state["module.logit_scale"] = torch.tensor(float("nan"))
    if damage == "half":
        content["state_dict"] = dict(list(state.items())[::2])
    if damage == "mixed":
        names = [name if row < 5 else name.removeprefix("module.") for row, name in enumerate(state)]
        content["state_dict"] = dict(zip(names, state.values(), strict=True))
    torch.save(content, tmp_path / "bad.pt")
    if damage == "tar":
        with tarfile.open(tmp_path / "bad.pt", "w") as tar:
            tar.add(place / "labelled" / "classnames.txt", "classnames.txt")
    if damage == "truncated":
        (tmp_path / "bad.pt").write_bytes((tmp_path / "bad.pt").read_bytes()[:-3000])
    named = ["--architecture", VIT if damage == "architecture" else GROUP_NORM, "--images", str(place / "folder")]
    error = error_of(CliRunner().invoke(app, ["unlearn", str(tmp_path / "bad.pt"), *named, *TRIGGER]))
    with pytest.raises(CheckpointError, match=said):
        raise error


def test_it_needs_no_ray(place: Path, tmp_path: Path) -> None:
    script = """
import sys
for name in ("ray", "mlflow", "optuna"):
    sys.modules[name] = None
from tbar_ray.cli.main import main
main()
"""
    words = [
        "unlearn", str(place / "suspect.pt"), "--architecture", GROUP_NORM, "--images", str(place / "folder"), *QUICK,
        *TRIGGER, "--evaluation", str(place / "labelled"), "--force", "--out", str(tmp_path / "out.pt"),
    ]  # fmt: skip
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=False)
    assert done.returncode in (ExitCode.DONE, ExitCode.PROBLEMS), done.stderr
    assert (tmp_path / "out.pt").exists()
