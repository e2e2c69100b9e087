from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from tbar_ray.cli.main import app
from tbar_ray.leaderboard.harvest import Harvest
from tbar_ray.leaderboard.lines import read_cells
from tbar_ray.leaderboard.writing import add_cells
from tests.cli.errors import error_of
from tests.leaderboard.cells import board, cell, missing
from tests.specs import write


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TBAR_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TBAR_STORE", raising=False)


def told(*words: object) -> str:
    return CliRunner().invoke(app, ["leaderboard", *map(str, words)], catch_exceptions=False).output


def harvesting(monkeypatch: pytest.MonkeyPatch, *cells: Any) -> None:
    monkeypatch.setattr(Harvest, "cells", lambda *_: [*cells])


@pytest.mark.parametrize("words", [[], ["build"], ["run"], ["show"]])
def test_help(words: list[str]) -> None:
    assert "Usage" in told(*words, "--help")


def test_build_adds_to_what_is_there_and_names_what_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "board"
    add_cells(out, [cell("old")])
    harvesting(monkeypatch, cell("new"), missing("new", "fourier", 2))
    shown = told("build", write(tmp_path), "--out", out)
    assert str(out / "index.html") in shown
    assert "1 of 2 cells are measured" in shown
    assert "missing  new: fourier (seed 2)" in shown
    assert [(c.method, c.attack) for c in read_cells(out / "cells.jsonl")] == [
        ("new", "fourier"), ("new", "sig"), ("old", "sig"),
    ]  # fmt: skip
    before = (out / "index.html").read_bytes()
    (out / "index.html").unlink()
    told("build", "--out", out)
    assert (out / "index.html").read_bytes() == before, "made anew of the lines alone"


def test_without_a_folder_it_is_ones_own_and_a_page_can_be_filled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TBAR_HOME", str(tmp_path / "home"))
    harvesting(monkeypatch, cell("new"))
    page = tmp_path / "README.md"
    page.write_text("<!-- leaderboard:start -->\n<!-- leaderboard:end -->\n")
    shown = told("build", write(tmp_path), "--fill", page)
    assert [c.method for c in read_cells(tmp_path / "home" / "leaderboard" / "cells.jsonl")] == ["new"]
    assert str(page) in shown
    assert "| new |" in page.read_text()


def test_a_campaign_that_is_not_finished_can_be_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    harvesting(monkeypatch, cell("new"), missing("new", "fourier", 2))
    path = write(tmp_path)
    line = error_of(monkeypatch, capsys, "leaderboard", "build", path, "--out", tmp_path / "board", "--complete")
    assert line.endswith(f"{path} is not finished: 1 of 2 cells are missing: new: fourier (seed 2)")
    assert not (tmp_path / "board").exists()


def test_nothing_to_build_of_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, store, out = write(tmp_path), tmp_path / "store", tmp_path / "board"
    none = error_of(monkeypatch, capsys, "leaderboard", "build", path, "--store", store, "--out", out)
    assert none.endswith(f"has none of the 2 cells of {path}; run it first")
    assert "has no lines yet; give a campaign" in error_of(monkeypatch, capsys, "leaderboard", "build", "--out", out)
    assert "has no lines; give the folder" in error_of(monkeypatch, capsys, "leaderboard", "show", "--out", out)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--method", "twin-destillation"], "no such method; did you mean 'twin-distillation'"),
        (
            ["--method", "rnp", "--data", "fotographs"],
            "--data fotographs: no such data set; did you mean 'photographs'",
        ),
        (
            ["--method", "rnp", "--data", "photographs", "--set", "data.train=here"],
            "--data photographs: say where its images are: --set data.evaluation=PLACE/evaluation (docs/datasets.md",
        ),
        (["--method", "rnp", "--seeds", "a"], "--seeds a: give numbers with commas between them"),
        (["--method", "rnp", "--seeds", ","], "--seeds ',': names none"),
        (["--method", "rnp", "--attacks", ""], "--attacks '': names none"),
        (["--method", "rnp", "--set", "forget.size=30"], "forget.size: not as in the leaderboard 'scenes'"),
        (["--method", "rnp", "--parameters", "steps"], "--parameters steps: give a mapping"),
        (["--method", "rnp", "--tuned-on", "sgi"], "--tuned-on: no attack 'sgi'; did you mean 'sig'"),
    ],
)
def test_a_row_that_cannot_be_is_one_line(
    words: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in error_of(monkeypatch, capsys, "leaderboard", "run", *words)


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tbar_ray.campaign.launch.launch", lambda *_, **__: pytest.fail("it was computed"))
    (tmp_path / "file").touch()
    words = ["leaderboard", "run", "--method", "tbar", "--attacks", "sig", "--seeds", "0", "--out"]
    assert "cannot be written" in error_of(monkeypatch, capsys, *words, tmp_path / "file" / "board")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "cells.jsonl").write_text("{\n")
    assert "line 1: is not JSON" in error_of(monkeypatch, capsys, *words, tmp_path / "broken")


def test_without_a_campaign_its_options_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    add_cells(tmp_path, board())
    words = ["leaderboard", "build", "--out", tmp_path, "--complete", "--set", "seed=3"]
    line = error_of(monkeypatch, capsys, *words)
    assert line.endswith("--complete, --set: of a campaign; name one, e.g. jobs/leaderboard.yaml")


def test_run_computes_one_methods_cells_and_adds_its_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launched = []

    def launch(spec: Any, *_: object, **__: object) -> SimpleNamespace:
        launched.append(spec)
        return SimpleNamespace(interrupted=False, failed=1)

    monkeypatch.setattr("tbar_ray.campaign.launch.launch", launch)
    harvesting(monkeypatch, cell("mine"))
    out = tmp_path / "board"
    add_cells(out, board())
    words = ["run", "--method", "tbar", "--name", "mine", "--parameters", "{steps: 3}", "--attacks", "sig,fourier"]
    ended = CliRunner().invoke(app, ["leaderboard", *words, "--seeds", "0", "--out", str(out)], catch_exceptions=False)
    assert ended.exit_code == 1, "a cell failed"
    (spec,) = launched
    assert spec.search.axes == {"method": ["mine"], "attack": ["sig", "fourier"], "seed": [0]}
    assert spec.methods["mine"].parameters == {"steps": 3}
    assert "mine" in (out / "index.html").read_text()
    assert len(read_cells(out / "cells.jsonl")) == len(board()) + 1


def test_show_prints_a_table_for_each_data_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    add_cells(tmp_path, [*board(), cell(data="photographs")])
    shown = told("show", "--out", tmp_path)
    assert "scenes, trigger known" in shown
    assert "photographs, trigger known" in shown
    assert "24 of 24 cells are measured" in shown
    assert "photographs" not in told("show", "--out", tmp_path, "--data", "scenes")
    line = error_of(monkeypatch, capsys, "leaderboard", "show", "--out", tmp_path, "--data", "scene")
    assert "--data scene: no such data set" in line
