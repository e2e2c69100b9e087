from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tbar_ray import __version__
from tbar_ray.cli.main import app, main
from tbar_ray.exit_codes import ExitCode
from tbar_ray.records.ledger import Ledger
from tbar_ray.records.lost_attempts import LostAttempt, note_lost
from tbar_ray.records.measures import StageUse
from tbar_ray.records.names import run_name
from tbar_ray.store.store import Store
from tests.cli.errors import error_of
from tests.records.records import failed, record
from tests.specs import spec, write

COMMANDS = [
    [], ["data"], ["data", "synth"], ["data", "check"], ["campaign"], ["campaign", "plan"], ["campaign", "run"],
    ["campaign", "status"], ["campaign", "report"], ["campaign", "profile"], ["campaign", "export"],
    ["campaign", "watch"], ["unlearn"],
    ["evaluate"], ["doctor"], ["bench"], ["ui"],
]  # fmt: skip


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TBAR_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("TBAR_STORE", raising=False)
    return tmp_path / "home"


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help(words: list[str]) -> None:
    ended = CliRunner().invoke(app, [*words, "--help"])
    assert ended.exit_code == 0
    assert "Usage" in ended.stdout


def test_version() -> None:
    ended = CliRunner().invoke(app, ["--version"])
    assert (ended.exit_code, ended.stdout.strip()) == (0, f"tbar-ray {__version__}")


def test_a_mistake_of_the_program_is_no_failed_trial(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def mistaken(*_: object) -> None:
        raise ZeroDivisionError("nobody thought of this")

    monkeypatch.setattr("tbar_ray.spec.load.load_spec", mistaken)
    monkeypatch.setattr(sys, "argv", ["tbar", "campaign", "status", str(write(tmp_path))])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == ExitCode.DEFECT
    assert capsys.readouterr().err.splitlines()[-1] == "ZeroDivisionError: nobody thought of this"


@pytest.mark.parametrize("words", [["campaign", "plan"], ["campaign", "nothing"], ["campaign", "report", "x.yaml"]])
def test_wrong_words_are_exit_code_2(words: list[str]) -> None:
    ended = CliRunner().invoke(app, words)
    assert ended.exit_code == 2
    assert "Usage" in ended.output


def test_a_profile_does_not_mix_with_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(write(tmp_path))
    line = error_of(monkeypatch, capsys, "campaign", "profile", path, "--folder", str(tmp_path))
    assert f"--folder {tmp_path}: is not empty" in line


def test_status_of_an_empty_store(tmp_path: Path, home: Path) -> None:
    path = str(write(tmp_path))
    ended = CliRunner().invoke(app, ["campaign", "status", path])
    assert ended.exit_code == 0
    assert ended.stdout.strip() == "demo: 0 done, 0 infeasible, 0 dominated, 0 failed, 2 pending"
    told = json.loads(CliRunner().invoke(app, ["campaign", "status", path, "--json"]).stdout)
    assert told == {
        "campaign": "demo",
        "trials": 2,
        "done": 0,
        "infeasible": 0,
        "dominated": 0,
        "failed": 0,
        "pending": 2,
    }
    assert not home.exists()


def test_status_counts_records(tmp_path: Path, home: Path) -> None:
    path = str(write(tmp_path))
    store, done = Store(str(home / "store")), record("badnets")
    ledger = Ledger(store, spec())
    folder = store.scratch()
    (folder / "path.json").write_text("{}")
    store.commit(done.path_artifact, folder, {"kind": "path", "seconds": 1.0, "work": 1})
    ledger.write(done)
    ledger.write(failed("blended"))
    told = json.loads(CliRunner().invoke(app, ["campaign", "status", path, "--json"]).stdout)
    assert (told["done"], told["failed"], told["pending"]) == (1, 1, 0)
    shown = CliRunner().invoke(app, ["campaign", "status", path]).stdout
    assert "attack did not take" in " ".join(shown.split())
    named = CliRunner().invoke(app, ["campaign", "status", path, "--names"]).stdout.splitlines()
    assert f"{done.fingerprint[:8]}  {run_name(done)}" in named
    assert run_name(done) not in shown
    other = CliRunner().invoke(app, ["campaign", "status", path, "--set", "seed=1", "--json"])
    assert json.loads(other.stdout)["pending"] == 2  # another campaign's records are not this one's
    (store.fetch(done.path_artifact) / "path.json").write_text("[]")
    told = json.loads(CliRunner().invoke(app, ["campaign", "status", path, "--json"]).stdout)
    assert (told["done"], told["failed"], told["pending"]) == (0, 1, 1)


def test_status_tells_what_a_campaign_cost(tmp_path: Path, home: Path) -> None:
    path, ledger = str(write(tmp_path)), Ledger(Store(str(home / "store")), spec())
    use = StageUse(artifact="clean-model-0", seconds=7200, cpus=2)
    ledger.write(failed("badnets", stages=(use,)))
    ledger.write(failed("blended", stages=(use,)))
    told = json.loads(CliRunner().invoke(app, ["campaign", "status", path, "--cost", "--json"]).stdout)
    assert (told["failed"], told["cost"]["all"]["cpu_hours"], told["cost"]["all"]["saved_cpu_hours"]) == (2, 4, 4)
    shown = CliRunner().invoke(app, ["campaign", "status", path, "--cost"]).stdout
    assert ["clean-model", "1", "2", "4", "0", "4", "0"] in [line.split() for line in shown.splitlines()]
    assert "1 stage of an earlier version" in shown
    assert "lost: " not in shown
    attempt = LostAttempt(title="clean", cause="launch", seconds=7200, wasted=1800, cpus=2, gpus=0)
    note_lost(ledger.store, ledger.folder, [attempt])
    told = json.loads(CliRunner().invoke(app, ["campaign", "status", path, "--cost", "--json"]).stdout)
    assert told["cost"]["lost"]["hours"]["wasted_cpu_hours"] == 1
    shown = CliRunner().invoke(app, ["campaign", "status", path, "--cost"]).stdout
    assert "lost: 1 attempt at stages cut off (1 by the loss of a launch), which held 4 CPU-hours" in shown
    assert "clean-model" not in CliRunner().invoke(app, ["campaign", "status", path]).stdout


def test_the_environment_names_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster sets it once for every command."""
    monkeypatch.setenv("TBAR_STORE", str(tmp_path / "shared"))
    Ledger(Store(str(tmp_path / "shared")), spec()).write(failed("blended"))
    status = ["campaign", "status", str(write(tmp_path)), "--json"]
    assert json.loads(CliRunner().invoke(app, status).stdout)["failed"] == 1
    assert json.loads(CliRunner().invoke(app, [*status, "--store", str(tmp_path / "own")]).stdout)["failed"] == 0
    assert '"demo/' in CliRunner().invoke(app, ["store", "ls", "--json"]).stdout


def test_report_of_an_empty_store(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = str(write(tmp_path)), tmp_path / "out"
    line = error_of(monkeypatch, capsys, "campaign", "report", path, "--out", str(out))
    assert line == f"error: store {home}/store has no trial of campaign demo; run it first"
    assert not out.exists()


def test_report_of_a_broken_record(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(write(tmp_path))
    ledger = Ledger(Store(str(home / "store")), spec())
    ledger.write(record())
    (file,) = (home / "store" / ledger.folder / "trials").iterdir()
    file.write_text('{"attack": ')
    line = error_of(monkeypatch, capsys, "campaign", "report", path, "--out", str(tmp_path / "out"))
    assert line.startswith(f"error: store {home}/store: {ledger.folder}/trials/{file.name} cannot be read: ")


def test_plan_says_what_preflight_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(write(tmp_path))
    line = error_of(monkeypatch, capsys, "campaign", "plan", path, "--set", "attacks.badnets.trigger=badnet")
    assert line.startswith("error: attacks.badnets: unknown trigger 'badnet'; did you mean 'badnets'")
    line = error_of(
        monkeypatch, capsys, "campaign", "run", path, "--set", f"data={{train: {tmp_path}/a, evaluation: b}}"
    )
    assert line == f"error: data.train: no such shard: {tmp_path}/a"
    line = error_of(monkeypatch, capsys, "campaign", "plan", path, "--store", "nonsense://x")
    assert line.startswith("error: store nonsense://x: Protocol not known")


def test_watching_what_does_not_run_says_so_and_ends(tmp_path: Path, home: Path) -> None:
    ledger = Ledger(Store(str(home / "store")), spec())
    ledger.write(record())
    ended = CliRunner().invoke(app, ["campaign", "watch", str(write(tmp_path))])
    assert ended.exit_code == 0, ended.output
    assert ended.stdout.startswith("demo: no launch runs; 1 trial in the store\nbest so far  badnets, tbar")


def test_ui_without_a_database(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert error_of(monkeypatch, capsys, "ui") == (
        f"error: no MLflow database at {home}/mlflow.db; run a campaign first (`tbar campaign run SPEC`)"
    )


def test_a_search_is_not_run_in_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, search={"sampler": "random", "trials": 2, "axes": {"attack": ["badnets"]}})
    for option, value in (("--retry", "failed"), ("--shard", "1/2")):
        line = error_of(monkeypatch, capsys, "campaign", "run", str(path), option, value)
        assert f"{option}{' failed' if option == '--retry' else ''}: demo has the sampler random" in line


@pytest.mark.parametrize("share", ["0/8", "9/8", "x"])
def test_a_share_that_does_not_exist_is_one_line(
    share: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = error_of(monkeypatch, capsys, "campaign", "run", str(write(tmp_path)), "--shard", share)
    assert f"--shard {share}: give K/N" in line
