"""`tbar evaluate`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import tbar_ray as tbar
from tbar_ray.cli.main import app
from tbar_ray.data.synthetic.options import WritingOptions
from tbar_ray.data.synthetic.retrieval_writer import write_retrieval_set
from tbar_ray.errors import DataError, SpecError
from tests.api.world import BACKDOOR, CLASSES, labelled, write_benchmark, write_folder
from tests.models.tiny import RESNET, tiny

runner = CliRunner()
TRIGGER = ["--trigger", "badnets", "--trigger-parameter", "patch_size=56", "--trigger-parameter", "place=bottom-right"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint, a labelled set and a retrieval set."""
    folder = tmp_path_factory.mktemp("evaluate")
    tbar.Model(tiny(RESNET), RESNET).save(folder / "weights.safetensors")
    model = tbar.load_model(RESNET, folder / "weights.safetensors", device="cpu")
    write_benchmark(folder / "eval", *labelled(24, 9, model))
    write_folder(folder / "folder", *labelled(8, 9, model))
    write_retrieval_set(folder / "retrieval", WritingOptions(size=16, workers=1), pairs=20)
    return folder


def evaluate(place: Path, *words: str) -> str:
    result = runner.invoke(app, ["evaluate", str(place / "weights.safetensors"), "--architecture", RESNET, *words])
    if result.exception is not None:
        raise result.exception
    return result.stdout


def test_scores_with_a_trigger_are_those_of_the_python_api(place: Path) -> None:
    told = json.loads(evaluate(place, "--data", str(place / "eval"), *TRIGGER, "--target", "blue", "--json"))
    model = tbar.load_model(RESNET, place / "weights.safetensors", device="cpu")
    expected = tbar.evaluate(model, tbar.evaluation_set(place / "eval"), BACKDOOR).to_dict()
    found = told["data"][str(place / "eval")]
    assert {name: found[name] for name in expected} == expected
    assert found["baseline"]["n"] == expected["asr"]["n"]
    assert list(found["by_class"]) == list(CLASSES.names)
    assert told["model"]["architecture"] == RESNET
    assert len(told["model"]["sha256"]) == 64


def test_on_a_terminal_each_set_has_a_table_and_its_weakest_classes(place: Path) -> None:
    shown = evaluate(place, "--data", str(place / "eval"), "--retrieval", str(place / "retrieval"))
    assert "4 classes" in shown
    assert "n = 24" in shown
    assert "ASR" not in shown
    assert "least CA:" in shown
    assert shown.count("image to text at") == shown.count("text to image at") == 3


def test_of_many_images_some_are_taken_and_the_time_is_told_beforehand(place: Path) -> None:
    words = ["--architecture", RESNET, "--data", str(place / "eval"), "--max-images", "8"]
    result = runner.invoke(app, ["evaluate", str(place / "weights.safetensors"), *words])
    assert "n = 8" in result.stdout
    assert result.stderr.startswith("This will take about ")


def test_classes_and_templates_may_be_given(place: Path, tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("red\ngreen\nblue\ngrey\nbanana\n")
    (tmp_path / "templates.txt").write_text("a {}\n")
    words = ["--classes", str(tmp_path / "classes.txt"), "--templates", str(tmp_path / "templates.txt")]
    shown = evaluate(place, "--data", str(place / "folder"), *words)
    assert "5 classes" in shown


@pytest.mark.parametrize(
    ("words", "kind", "said"),
    [
        ([], SpecError, "give --data or --retrieval"),
        (["--data", "SET", "--target", "blue"], SpecError, "need a --trigger"),
        (["--data", "SET", *TRIGGER], SpecError, "give the target too"),
        (["--data", "SET", *TRIGGER, "--target", "blu"], DataError, "did you mean 'blue'"),
        (["--data", "SET", "--templates", "TEMPLATES"], DataError, r"template 'a photo' has no \{\}"),
        (["--data", "SET", "--classes", "nowhere.txt"], DataError, "--classes nowhere.txt: No such file"),
        (["--data", "SET", "--trigger", "badnets", "--trigger-parameter", "size"], SpecError, "write KEY=VALUE"),
        (["--data", "EMPTY"], DataError, "no image under"),
    ],
)
def test_what_is_wrong_is_one_line(place: Path, tmp_path: Path, words: list[str], kind: type, said: str) -> None:
    (tmp_path / "templates.txt").write_text("a photo\n")
    (tmp_path / "empty").mkdir()
    names = {"SET": place / "eval", "TEMPLATES": tmp_path / "templates.txt", "EMPTY": tmp_path / "empty"}
    with pytest.raises(kind, match=said) as caught:
        evaluate(place, *(str(names.get(word, word)) for word in words))
    assert "\n" not in str(caught.value)
