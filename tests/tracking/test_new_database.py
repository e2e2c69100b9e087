"""A new database of MLflow, whoever ends while it is made."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tbar_ray.tracking import new_database
from tbar_ray.tracking.new_database import make_database

PROGRAM = """
import sys
from tbar_ray.tracking.new_database import make_database
print("ready", flush=True)
make_database(sys.argv[1])
"""


def test_one_whose_maker_was_killed_is_made_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    uri = f"sqlite:///{path}"
    making = subprocess.Popen([sys.executable, "-c", PROGRAM, uri], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert making.stdout is not None
    assert making.stdout.readline() == b"ready\n"
    deadline = time.monotonic() + 60
    while not any(file.stat().st_size for file in tmp_path.iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    making.kill()
    making.communicate()
    assert not path.exists(), "it was killed while it made the tables"
    make_database(uri)
    assert list(tmp_path.iterdir()) == [path], "what the other left is gone"
    assert [found.name for found in MlflowClient(uri).search_experiments()] == ["Default"]


def test_one_that_has_tables_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(**_: object) -> None:
        pytest.fail("it was made again")

    monkeypatch.setattr(new_database, "MlflowClient", never)
    (tmp_path / "mlflow.db").write_bytes(b"something")
    make_database(f"sqlite:///{tmp_path / 'mlflow.db'}")
    make_database("http://127.0.0.1:9")
    assert (tmp_path / "mlflow.db").read_bytes() == b"something"
