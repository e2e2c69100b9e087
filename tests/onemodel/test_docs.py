"""The code block of docs/one_model.md runs as it stands, on a small model."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import tbar_ray as tbar
from tests.models.tiny import GROUP_NORM, snapshot, tiny

PAGE = Path(__file__).parents[2] / "docs" / "one_model.md"


def test_the_block_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": snapshot(tiny(GROUP_NORM))}, tmp_path / "infected.pt")
    draw = np.random.default_rng(0)
    Image.fromarray(draw.integers(0, 256, (9, 9, 3), dtype=np.uint8)).save(tmp_path / "sticker.png")
    for name in ("blue_circle", "red_square"):
        (tmp_path / "labelled" / name).mkdir(parents=True)
        for row in range(20):
            pixels = draw.integers(0, 256, (40, 50, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "labelled" / name / f"{row}.png")
    found = re.search(r"<!-- one-model:start -->\n```python\n(.*?)```\n", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    names: dict[str, Any] = {}
    exec(compile(found[1].replace('"RN50"', repr(GROUP_NORM)), PAGE.name, "exec"), names)
    assert isinstance(names["examined"].expected.seconds, float)
    for file in (*names["saved"].files, names["saved"].manifest, names["saved"].report):
        assert file.parent == tmp_path
        assert file.stat().st_size > 1000
    assert set(re.findall(r"\btbar\.(\w+)", found[1])) <= set(tbar.__all__)
