"""The code blocks of docs/python_api.md run as they stand."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import tbar_ray as tbar
from tbar_ray.data.synthetic.options import WritingOptions
from tbar_ray.data.synthetic.synth import write_corpus, write_evaluation_set
from tests.api.test_artifacts import write_artifact
from tests.models.tiny import RESNET, snapshot, tiny

PAGE = Path(__file__).parents[2] / "docs" / "python_api.md"


def code(marker: str) -> str:
    """Return the code block between two markers of the page."""
    text = PAGE.read_text(encoding="utf-8")
    found = re.search(rf"<!-- {marker}:start -->\n```python\n(.*?)```\n<!-- {marker}:end -->", text, re.DOTALL)
    assert found is not None, f"{PAGE.name} has no block {marker}"
    return found[1]


def run(block: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(compile(block, PAGE.name, "exec"), names)
    return names


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)


def lay_quickstart(store: Path) -> None:
    """Write what the quickstart leaves, in small."""
    model = write_artifact(store, "infected-model-0", 1, "badnets")
    tbar.Model(tiny("tbar-RN-pico"), "tbar-RN-pico").save(model / "weights.safetensors")
    write_corpus(write_artifact(store, "corpus-0", 1), WritingOptions(size=64, workers=1), samples=360)
    write_evaluation_set(write_artifact(store, "evaluation-set-0", 1), WritingOptions(size=64, workers=1), per_class=3)


def test_the_readmes_snippet_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lay_quickstart(tmp_path / "mlruns" / "store")
    names = run(code("readme-snippet"))
    printed = capsys.readouterr().out
    assert str(names["walk"]) in printed
    assert str(tbar.evaluate(names["cleaned"], names["test"], names["backdoor"])) in printed
    state, moved = snapshot(names["model"].module), snapshot(names["cleaned"].module)
    written = tbar.load_model("tbar-RN-pico", tmp_path / "cleaned.safetensors", device="cpu")
    assert all(torch.equal(value, snapshot(written.module)[key]) for key, value in moved.items())
    assert (names["walk"].alpha == 0) == all(torch.equal(state[key], moved[key]) for key in state)


def test_the_readme_shows_the_same_snippet() -> None:
    readme = (PAGE.parents[1] / "README.md").read_text(encoding="utf-8")
    assert code("readme-snippet") in readme


def test_the_snippet_is_short_and_only_of_public_names() -> None:
    block = code("readme-snippet")
    assert len([line for line in block.splitlines() if line.strip()]) <= 12
    assert max(map(len, block.splitlines())) <= 120
    assert set(re.findall(r"\btbar\.(\w+)", PAGE.read_text(encoding="utf-8"))) <= set(tbar.__all__)


def test_every_public_name_is_in_the_table() -> None:
    table = PAGE.read_text(encoding="utf-8").split("## Names")[1]
    named = set(re.findall(r"`(\w+)", table))
    assert set(tbar.__all__) <= named


def test_the_block_for_an_own_model_runs(tmp_path: Path) -> None:
    state = {f"module.{key}": value for key, value in snapshot(tiny(RESNET)).items()}
    torch.save({"epoch": 1, "state_dict": state}, tmp_path / "infected.pt")
    draw = np.random.default_rng(0)
    Image.fromarray(draw.integers(0, 256, (9, 9, 3), dtype=np.uint8)).save(tmp_path / "sticker.png")
    for place, count in (("labelled/blue_circle", 4), ("labelled/red_square", 4), ("photos", 100)):
        (tmp_path / place).mkdir(parents=True)
        for row in range(count):
            Image.fromarray(draw.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(tmp_path / place / f"{row}.png")
    write_corpus(tmp_path / "shards", WritingOptions(size=32, samples_per_shard=40, workers=1), samples=80)
    names = run(code("own-model").replace('"RN50"', repr(RESNET)))
    assert names["classes"].names == ("blue circle", "red square")
    content = torch.load(tmp_path / "cleaned.pt", weights_only=True)["state_dict"]
    assert content.keys() == state.keys()
    tuned = snapshot(names["tuned"].module)
    assert all(torch.equal(content[f"module.{key}"], value) for key, value in tuned.items())
    assert json.dumps(names["walk"].to_dict())
