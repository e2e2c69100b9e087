from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tbar_ray.cli.main import app
from tbar_ray.exit_codes import ExitCode
from tbar_ray.tracking.places import PASSWORD, USER
from tests.specs import write


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TBAR_HOME", str(tmp_path / "home"))
    for name in ("MLFLOW_TRACKING_URI", "TBAR_STORE", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    for name in (USER, PASSWORD):  # a URI with a user sets them
        monkeypatch.setenv(name, "")
    return tmp_path / "home"


def test_all_is_well(tmp_path: Path) -> None:
    ended = CliRunner().invoke(app, ["doctor", str(write(tmp_path))])
    assert ended.exit_code == ExitCode.DONE
    assert ended.stdout.splitlines()[-1] == "6 checks, 0 with a problem"
    told = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)
    assert told["ok"] is True
    assert [check["what"] for check in told["checks"]] == ["packages", "disk", "store", "GPU", "tracking"]


def test_a_problem_is_exit_code_1_and_says_no_secret(tmp_path: Path) -> None:
    words = ["doctor", "--tracking-uri", "http://me:secret@127.0.0.1:9"]
    ended = CliRunner().invoke(app, words)
    assert ended.exit_code == ExitCode.PROBLEMS
    assert "5 checks, 1 with a problem" in ended.stdout
    assert "does not answer" in ended.stdout
    told = CliRunner().invoke(app, [*words, "--json"])
    assert told.exit_code == ExitCode.PROBLEMS
    assert json.loads(told.stdout)["ok"] is False
    assert "secret" not in ended.output + told.output
