from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from tbar_ray.cli.main import app
from tbar_ray.errors import DataError, SpecError
from tests.data.test_near_duplicates import corpus, encoded, scenes
from tests.data.test_overlap import write


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["data", "overlap", *map(str, words)])


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    write(tmp_path / "a", k0=0, k1=1, k2=2)
    write(tmp_path / "b", k1=1, k2=99, x=2)
    write(tmp_path / "c", k0=7)
    return tmp_path


def test_what_two_sets_share_is_told_with_examples(sets: Path) -> None:
    told = run(sets / "a", sets / "b")
    assert told.exit_code == 0
    assert told.stdout.splitlines() == [
        f"{sets}/a and {sets}/b: 2 images in common; 2 keys in common, 1 of them with the same image",
        "  k1",
        "  k2 is x",
    ]


def test_it_fails_only_if_asked_to_and_only_for_images(sets: Path) -> None:
    assert run(sets / "a", sets / "b", "--fail").exit_code == 1
    apart = run(sets / "a", sets / "c", "--fail")
    assert apart.exit_code == 0
    assert "0 images in common; 1 keys in common, 0 of them with the same image" in apart.stdout


def test_images_that_look_alike_are_told_if_asked_for(tmp_path: Path) -> None:
    image = scenes(1)[0]
    corpus(tmp_path / "a", one=encoded(image))
    corpus(tmp_path / "b", other=encoded(image, 80, 60))
    assert run(tmp_path / "a", tmp_path / "b", "--fail").exit_code == 0
    told = run(tmp_path / "a", tmp_path / "b", "--near", "--fail")
    assert told.exit_code == 1
    assert told.stdout.splitlines()[1:] == [
        f"{tmp_path}/a and {tmp_path}/b: 1 more images look alike", "  one looks like other",
    ]  # fmt: skip
    assert isinstance(run(tmp_path / "a", tmp_path / "b", "--near", "--bits", "40").exception, DataError)


def test_json_is_all_there_is_on_stdout(sets: Path) -> None:
    told = json.loads(run(sets / "a", sets / "b", sets / "c", "--json").stdout)
    assert [pair["images"] for pair in told] == [2, 0, 0]


def test_bad_input_is_one_line(sets: Path) -> None:
    assert isinstance(run(sets / "a").exception, SpecError)
    missing = run(sets / "a", sets / "none").exception
    assert isinstance(missing, DataError)
    assert "no such shard" in str(missing)
