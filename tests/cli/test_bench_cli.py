from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from tbar_ray.bench import alpha, merge
from tbar_ray.cli import main as cli
from tbar_ray.errors import SpecError

runner = CliRunner()


def test_merging_is_measured_and_comes_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merge, "PARAMETERS", 300_000)
    monkeypatch.setattr(merge.merge_benchmark, "__defaults__", (300_000,))
    result = runner.invoke(cli.app, ["bench", "merge", "--repeats", "2", "--device", "cpu", "--json"])
    found = json.loads(result.stdout)
    assert found["machine"]["cores"] >= 1
    (row,) = found["results"]
    assert len(row["ours_seconds"]) == 2
    assert row["ratio"] > 0
    assert row["at_least"] == 0.7


def test_both_ways_along_alpha_give_the_same_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(alpha, "IMAGES", 96)
    work = alpha.AlphaWork("tbar-RN-pico", torch.device("cpu"))
    split = work.split()
    assert split.clean.shape == (96, 3, 64, 64)  # of larger files
    with alpha.InPlaceModel(work.model, work.vector).moved(-0.5) as moved:
        mine = alpha.score(moved, work.head, split, 0, work.preprocess)
    state = {k: v - 0.5 * work.vector.tensors[k] if k in work.vector.tensors else v for k, v in work.start.items()}
    work.model.load_state_dict(state)
    assert alpha.score(work.model, work.head, split, 0, work.preprocess) == mine


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["strem"], "unknown benchmark 'strem'; did you mean 'stream'"),
        (["merge", "--repeats", "0"], "--repeats"),
        (["merge", "--device", "tpu"], "--device tpu: give cpu"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], message: str) -> None:
    result = runner.invoke(cli.app, ["bench", *arguments])
    assert isinstance(result.exception, SpecError)
    assert message in str(result.exception)
