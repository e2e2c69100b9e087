from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from tbar_ray.cli.main import app
from tbar_ray.data.synthetic.options import WritingOptions
from tbar_ray.data.synthetic.synth import write_corpus
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
