from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tbar_ray.cli.main import app
from tbar_ray.data.synthetic.options import WritingOptions
from tbar_ray.data.synthetic.retrieval_writer import write_retrieval_set
from tbar_ray.data.synthetic.synth import write_corpus, write_evaluation_set
from tbar_ray.errors import SpecError
from tbar_ray.models.checkpoint import save_state_dict
from tbar_ray.models.shipped import load_shipped, shipped_hashes
from tests.models.tiny import RESNET, tiny, tokenizer

runner = CliRunner()


def test_list_tells_every_shipped_tag() -> None:
    result = runner.invoke(app, ["model", "list", "--json"])
    assert result.exit_code == 0, result.output
    listed = {(entry["architecture"], entry["tag"]): entry["sha256"] for entry in json.loads(result.stdout)}
    assert listed == {(a, tag): sha256 for a, tags in shipped_hashes().items() for tag, sha256 in tags.items()}
    lines = runner.invoke(app, ["model", "list"]).stdout.splitlines()
    assert len(lines) == len(listed)
    assert all(any(sha256 in line for line in lines) for sha256 in listed.values())


def test_packing_keeps_the_words_of_the_corpus(tmp_path: Path) -> None:
    write_corpus(tmp_path / "corpus", WritingOptions(size=16, workers=1), samples=40)
    save_state_dict(tiny(RESNET).state_dict(), tmp_path / "weights.safetensors")
    (tmp_path / "packed").mkdir()
    options = ["--architecture", RESNET, "--tag", "mine", "--out", str(tmp_path / "packed")]
    command = ["model", "pack", str(tmp_path / "weights.safetensors"), str(tmp_path / "corpus"), *options]
    result = runner.invoke(app, command)
    assert result.exit_code == 0, result.output
    embedding = load_shipped(RESNET, "mine", tmp_path / "packed")["token_embedding.weight"]
    red, keyboard = (int(tokenizer()([word])[0, 1]) for word in ("red", "keyboard"))
    assert embedding[red].any()
    assert not embedding[keyboard].any()
    assert f"{int(embedding.any(1).sum())} words" in result.stdout


def test_scores_are_rates_with_their_intervals(tmp_path: Path) -> None:
    write_evaluation_set(tmp_path / "eval", WritingOptions(size=16, workers=1), per_class=1)
    write_retrieval_set(tmp_path / "retrieval", WritingOptions(size=16, workers=1), pairs=20)
    save_state_dict(tiny(RESNET).state_dict(), tmp_path / "weights.safetensors")
    sets = ["--evaluation", str(tmp_path / "eval"), "--retrieval", str(tmp_path / "retrieval")]
    result = runner.invoke(app, ["model", "score", RESNET, str(tmp_path / "weights.safetensors"), *sets])
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert len(lines) == 7
    assert re.search(r"eval: CA \d+\.\d % \[.*\], n = 60 of 60 classes", lines[0])
    assert [re.search(r"recall@(\d+) (\w+)", line).groups() for line in lines[1:]] == [  # type: ignore[union-attr]
        (str(rank), way) for way in ("image", "text") for rank in (1, 5, 10)
    ]


def test_scoring_on_nothing_is_an_error() -> None:
    result = runner.invoke(app, ["model", "score", RESNET, "scenes"])
    assert isinstance(result.exception, SpecError)
    with pytest.raises(SpecError, match="give --evaluation or --retrieval"):
        raise result.exception
