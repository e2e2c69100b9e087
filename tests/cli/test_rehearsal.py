"""What `--rehearse` shows, without Ray."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from tbar_ray.campaign.launch import Launch
from tbar_ray.campaign.rehearsal import Rehearsal, Rehearsed
from tbar_ray.cli.main import app
from tbar_ray.cli.rehearsal import stages_table, summary
from tbar_ray.errors import SpecError
from tests.records.records import failed
from tests.specs import write


def test_a_plan_of_a_rehearsal_needs_neither_data_nor_weights(tmp_path: Path) -> None:
    data = {"train": "/nowhere/0.tar", "evaluation": "/nowhere/imagenet1k"}
    attacks = {"one": {"trigger": "badnets", "target": "banana"}}
    path = write(
        tmp_path, data=data, attacks=attacks, model={"architecture": "tbar-GN-pico", "pretrained": "scenes"},
        search={"axes": {"attack": ["one"], "forget_size": [10, 20]}},
    )  # fmt: skip
    result = CliRunner().invoke(app, ["campaign", "plan", str(path), "--rehearse", "--store", str(tmp_path / "store")])
    assert result.exit_code == 0, result.output
    told = " ".join(result.output.split())
    assert "rehearsal of demo: 1 trials" in told
    assert "plant one 2 (seed 0)" in told
    assert "weights: random ones of tbar-GN-pico, from a file" in told
    assert "data are not here: " in told
    assert not (tmp_path / "store").exists()


def test_seconds_and_memory_of_each_kind_are_shown() -> None:
    console = Console(width=100, file=io.StringIO())
    with console.capture() as shown:
        console.print(stages_table([Rehearsed("vector", 2, 3.21, 2_600_000_000), Rehearsed("gate", 1, 0.0, None)]))
    rows = [line.split() for line in shown.get().splitlines()]
    assert rows[1:] == [["vector", "2", "3.2", "s", "2.6", "GB"], ["gate", "1", "0.0", "s", "unknown"]]


def test_the_summary_counts_trials_attacks_and_methods() -> None:
    launched = Launch([failed(reason="x")], Path("report"), "run", "1", False, 12.3, {})
    found = Rehearsal(launched, (), (), (), {"attack": ("a", "b"), "method": ("tbar",)})
    assert summary(found) == "rehearsed: 1 trial with 2 attacks and 1 method in 12 s; 1 failed"


@pytest.mark.parametrize(
    ("words", "named"),
    [(["--shard", "1/2"], "--shard"), (["--budget", "3cpuh", "--retry", "failed"], "--retry and --budget")],
)
def test_options_of_a_real_run_are_refused(tmp_path: Path, words: list[str], named: str) -> None:
    result = CliRunner().invoke(app, ["campaign", "run", str(write(tmp_path)), "--rehearse", *words])
    assert isinstance(result.exception, SpecError)
    assert str(result.exception) == f"--rehearse runs trials of its own choice: leave out {named}"
