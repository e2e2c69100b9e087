from __future__ import annotations

from pathlib import Path

import pytest

from tbar_ray.cli.mlflow_lines import where_mlflow_is
from tbar_ray.planning.planner import campaign_fingerprint
from tests.specs import spec

KEY = campaign_fingerprint(spec())


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("TBAR_HOME", "MLFLOW_TRACKING_URI", "RAY_JOB_CONFIG_JSON_ENV_VAR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_of_a_database_the_command_that_serves_the_pages_is_told(home: Path) -> None:
    where, runs, compare = where_mlflow_is(f"sqlite:///{home}/mlruns/mlflow.db", spec(), "7")
    assert where.endswith("(experiment demo; `tbar ui demo` serves the pages below)")
    page = f"http://127.0.0.1:5000/#/experiments/7/runs?workflowType=machine_learning&viewStateShareKey={KEY}"
    assert runs.split() == ["runs", page]
    assert compare.split() == ["compare", f"{page}&compareRunsMode=CHART"]
    elsewhere, *_ = where_mlflow_is("sqlite:////data/other.db", spec(), "7")
    assert "`tbar ui --tracking-uri sqlite:////data/other.db demo`" in elsewhere


def test_of_a_server_its_own_pages_are_told_without_its_password() -> None:
    lines = list(where_mlflow_is("https://me:s3cret@host:8080", spec(), "7"))
    assert lines[0].endswith("(experiment demo)")
    assert lines[1].split()[1].startswith("https://host:8080/#/experiments/7/runs?")
    assert "s3cret" not in "".join(lines)


def test_where_nothing_was_recorded_there_are_no_pages() -> None:
    assert len(list(where_mlflow_is("https://host", spec(), ""))) == 1
