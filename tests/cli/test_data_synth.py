from pathlib import Path

import pytest
from typer.testing import CliRunner

from tbar_ray.cli.main import app
from tbar_ray.errors import DataError

OPTIONS = ["--size", "16", "--samples-per-shard", "20", "--workers", "1"]


def test_writes_the_corpus_and_the_evaluation_set(tmp_path: Path) -> None:
    out = tmp_path / "corpus"
    command = ["data", "synth", str(out), "--samples", "30", "--eval", "--eval-per-class", "1", *OPTIONS]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "30 training scenes in 2 shards" in result.stdout
    assert "60 evaluation scenes in 3 shards" in result.stdout
    assert "scenes/s" in result.stdout
    assert sorted(p.name for p in out.glob("*.tar")) == ["00000.tar", "00001.tar"]
    assert (out / "eval" / "test" / "2.tar").is_file()


def test_a_second_run_needs_overwrite(tmp_path: Path) -> None:
    command = ["data", "synth", str(tmp_path), "--samples", "3", "--format", "png", *OPTIONS]
    assert CliRunner().invoke(app, command).exit_code == 0
    again = CliRunner().invoke(app, command)
    assert isinstance(again.exception, DataError)
    assert str(tmp_path) in str(again.exception)
    assert CliRunner().invoke(app, [*command, "--overwrite"]).exit_code == 0


@pytest.mark.parametrize("options", [["--size", "8"], ["--samples", "0"]])
def test_bad_values_are_data_errors(tmp_path: Path, options: list[str]) -> None:
    result = CliRunner().invoke(app, ["data", "synth", str(tmp_path / "x"), "--samples", "3", *options])
    assert isinstance(result.exception, DataError)


def test_help_shows_an_example() -> None:
    result = CliRunner().invoke(app, ["data", "synth", "--help"], env={"COLUMNS": "120"})
    assert "tbar data synth corpus --samples 30000 --eval" in result.stdout
