"""`tbar inversion calibrate`."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tbar_ray.cli.main import app
from tbar_ray.detection.calibration import load_calibration
from tbar_ray.errors import SpecError
from tests.detection.zoo import zoo


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the made-up zoo as a file."""
    path = tmp_path_factory.mktemp("zoo") / "zoo.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        searches = list(zoo()[0].scores)
        writer.writerow(["model", "architecture", "images", "classes", "infected", "kind", "target", *searches])
        for each in zoo():
            state = "yes" if each.infected else "no"
            cells = (each.model, each.architecture, each.images, each.classes, state, each.kind, each.target)
            writer.writerow([*cells, *each.scores.values()])
    return path


def test_a_table_becomes_a_calibration(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "it.json"
    chosen = ["--parameter", "decree.starts=3", "--source", "campaign zoo"]
    ended = CliRunner().invoke(app, ["inversion", "calibrate", str(table), "--out", str(out), *chosen])
    assert ended.exit_code == 0, ended.output
    made = load_calibration(out)
    assert made.references == tuple(zoo())
    assert made.searches["decree"]["starts"] == 3
    assert made.provenance.source == "campaign zoo"
    assert len(made.provenance.digest) == 64
    assert "20 clean and 30 infected models" in ended.output
    assert "1.000" in ended.output


def test_a_parameter_names_its_search(table: Path, tmp_path: Path) -> None:
    words = ["inversion", "calibrate", str(table), "--out", str(tmp_path / "it.json"), "--parameter", "starts=3"]
    with pytest.raises(SpecError, match=r"--parameter starts: write SEARCH\.KEY=VALUE"):
        CliRunner().invoke(app, words, catch_exceptions=False)
