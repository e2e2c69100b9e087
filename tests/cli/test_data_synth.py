from pathlib import Path

import pytest
from typer.testing import CliRunner

from tbar_ray.cli.main import app
from tbar_ray.data.evaluation_set import EvaluationSet
from tbar_ray.data.retrieval_set import RetrievalSet
from tbar_ray.data.synthetic.tasks import TASKS
from tbar_ray.errors import DataError, SpecError

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


def test_rich_scenes_have_480_classes(tmp_path: Path) -> None:
    command = ["data", "synth", str(tmp_path), "--samples", "30", "--scenes", "rich", "--eval", "--eval-per-class", "1"]
    result = CliRunner().invoke(app, [*command, "--retrieval", "20", *OPTIONS])
    assert result.exit_code == 0, result.output
    assert "480 evaluation scenes in 24 shards" in result.stdout
    assert len(EvaluationSet.open(str(tmp_path / "eval")).classnames) == 480
    assert RetrievalSet.open(str(tmp_path / "retrieval")).keys[0].startswith("rich-r")


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


def test_tasks_and_a_retrieval_set_go_beside_the_corpus(tmp_path: Path) -> None:
    command = ["data", "synth", str(tmp_path), "--task", "shapes", "--task", "colours", "--task", "shapes"]
    numbers = ["--train-per-class", "3", "--test-per-class", "1", "--retrieval", "7"]
    result = CliRunner().invoke(app, [*command, *numbers, *OPTIONS])
    assert result.exit_code == 0, result.output
    assert len(result.stdout.splitlines()) == 3
    assert "40 shapes scenes in 3 shards" in result.stdout
    assert "24 colours scenes in 2 shards" in result.stdout
    assert "7 retrieval scenes in 1 shard (" in result.stdout
    assert EvaluationSet.open(str(tmp_path / "tasks" / "shapes"), split="train").labels.size == 30
    assert EvaluationSet.open(str(tmp_path / "tasks" / "colours")).classnames[0] == "red"
    assert len(RetrievalSet.open(str(tmp_path / "retrieval"))) == 7
    assert [*tmp_path.glob("*.tar")] == []


def test_a_misspelt_task_is_known_before_anything_is_written(tmp_path: Path) -> None:
    command = ["data", "synth", str(tmp_path / "x"), "--samples", "3", "--task", "nigth", *OPTIONS]
    result = CliRunner().invoke(app, command)
    assert isinstance(result.exception, SpecError)
    assert "did you mean 'night'" in str(result.exception)
    assert not (tmp_path / "x").exists()


def test_nothing_to_write_is_an_error(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["data", "synth", str(tmp_path / "x"), *OPTIONS])
    assert isinstance(result.exception, SpecError)
    assert "--samples" in str(result.exception)


def test_help_names_every_task() -> None:
    result = CliRunner().invoke(app, ["data", "synth", "--help"], env={"COLUMNS": "200"})
    assert all(name in result.stdout for name in TASKS)


def test_help_shows_an_example() -> None:
    result = CliRunner().invoke(app, ["data", "synth", "--help"], env={"COLUMNS": "120"})
    assert "tbar data synth corpus --samples 30000 --eval" in result.stdout
