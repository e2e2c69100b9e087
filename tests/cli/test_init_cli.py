from pathlib import Path

import pytest
from typer.testing import CliRunner

from tbar_ray.cli.main import app
from tbar_ray.errors import SpecError
from tbar_ray.spec.load import load_spec
from tbar_ray.spec.shipped import shipped_specs, starter

runner = CliRunner()


def test_without_words_it_writes_the_quickstart_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ended = runner.invoke(app, ["init"])
    assert ended.exit_code == 0
    assert "tbar campaign plan quickstart.yaml" in ended.stdout
    assert load_spec(tmp_path / "quickstart.yaml").name == "quickstart"


def test_a_spec_in_a_folder_is_written_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert runner.invoke(app, ["init", "paper/alpha"]).exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["alpha.yaml"]


def test_list_names_every_spec_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ended = runner.invoke(app, ["init", "--list"])
    assert ended.exit_code == 0
    assert all(name in ended.stdout for name in shipped_specs())
    assert load_spec(shipped_specs()["transfer"]).description in ended.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_overwritten_only_by_force(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("mine")
    refused = runner.invoke(app, ["init", "alpha", str(file)])
    assert isinstance(refused.exception, SpecError)
    assert "--force" in str(refused.exception)
    assert file.read_text() == "mine"
    assert runner.invoke(app, ["init", "alpha", str(file), "--force"]).exit_code == 0
    assert file.read_text() == starter("alpha", file)


def test_a_missing_folder_is_one_line(tmp_path: Path) -> None:
    ended = runner.invoke(app, ["init", "alpha", str(tmp_path / "no" / "mine.yaml")])
    assert isinstance(ended.exception, SpecError)
    assert "mine.yaml: No such file or directory" in str(ended.exception)
