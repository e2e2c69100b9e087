"""`tbar model inspect`, `convert`, `negate`, `merge`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

from tbar_ray.cli.main import app
from tbar_ray.errors import TbarError
from tbar_ray.models.checkpoint import load_state_dict, save_state_dict
from tests.models.formats.published import Malicious, cleanclip, direct, finetune
from tests.models.tiny import RESNET, VIT, same, snapshot, tiny

runner = CliRunner()


def run(*arguments: object) -> Result:
    return runner.invoke(app, ["model", *map(str, arguments)])


def test_inspect_tells_format_architecture_and_what_cannot_be_told(tmp_path: Path) -> None:
    result = run("inspect", finetune(snapshot(direct(RESNET)), tmp_path))
    assert result.exit_code == 0, result.output
    for told in (
        "CleanCLIP finetune.pt",
        "in state_dict",
        "linear.weight, linear.bias: no part of the model",
        f"{RESNET}-quickgelu, by names and shapes",
        "QuickGELU (CleanCLIP's model code has QuickGELU alone)",
        "normalisation  cannot be told",
        "texts of 16 tokens",
        "not finite     none",
    ):
        assert told in result.stdout


def test_inspect_prints_json_and_ends_with_2_where_loading_would_refuse(tmp_path: Path) -> None:
    torch.save({"state_dict": snapshot(tiny()), "hook": Malicious(tmp_path / "executed")}, tmp_path / "m.pt")
    result = run("inspect", tmp_path / "m.pt", "--json")
    assert result.exit_code == 2
    told = json.loads(result.stdout)
    assert told["unexpected_names"] == ["posix.mkdir"]
    assert told["guess"]["candidates"] == [VIT]
    assert "refused        posix.mkdir" in run("inspect", tmp_path / "m.pt").stdout
    assert not (tmp_path / "executed").exists()


def test_inspect_lists_what_does_not_fit(tmp_path: Path) -> None:
    state = snapshot(tiny())
    del state["logit_scale"]
    state["visual.proj"] = torch.zeros(2, 2)
    state["extra"] = torch.zeros(1)
    save_state_dict(state, tmp_path / "m.safetensors")
    output = run("inspect", tmp_path / "m.safetensors").stdout
    assert f"none fits; nearest: {VIT}" in output
    assert "missing        1: logit_scale" in output
    assert "unexpected     1: extra" in output
    assert "other shape    1: visual.proj [2, 2] for [96, 64]" in output


def test_names_in_a_file_send_the_terminal_no_commands(tmp_path: Path) -> None:
    save_state_dict({**snapshot(tiny()), "evil\x1b[2J": torch.zeros(1)}, tmp_path / "m.safetensors")
    output = run("inspect", tmp_path / "m.safetensors").stdout
    assert r"evil\x1b[2J" in output
    assert "\x1b" not in output


def test_convert_writes_and_says_what_it_assumed(tmp_path: Path) -> None:
    state = snapshot(direct(RESNET))
    path, out = cleanclip(state, tmp_path), tmp_path / "hub"
    result = run("convert", path, "--to", "open_clip", "--architecture", RESNET, "--out", out)
    assert result.exit_code == 0, result.output
    assert f"{len(state)} tensors of {RESNET}" in result.stdout
    assert f"written as {RESNET}, as you say" in result.stderr
    assert same(state, load_state_dict(out))
    assert "did you mean 'open_clip'" in str(run("convert", path, "--to", "openclip", "--out", out).exception)


def test_negate_and_merge_write_the_sum(tmp_path: Path) -> None:
    base = snapshot(direct(RESNET))
    other = {name: value + 0.25 if value.is_floating_point() else value for name, value in base.items()}
    for name, state in (("b", base), ("t", other)):
        save_state_dict(state, tmp_path / f"{name}.safetensors")
    b, t, out = (tmp_path / f"{name}.safetensors" for name in ("b", "t", "out"))
    result = run("negate", b, t, "--alpha", 0.5, "--out", out)
    assert result.exit_code == 0, result.output
    assert "running statistics: estimate those anew on clean images" in result.stdout
    torch.testing.assert_close(load_state_dict(out)["visual.conv1.weight"], base["visual.conv1.weight"] - 0.125)
    kept = run("negate", b, t, "--alpha", 0.5, "--statistics", "kept", "--out", out)
    assert "running" not in kept.stdout
    result = run("merge", b, "--add", f"{t}=0.4", "--add", f"{t}=0.4", "--out", out)
    assert result.exit_code == 0, result.output
    torch.testing.assert_close(load_state_dict(out)["ln_final.bias"], base["ln_final.bias"] + 0.2)


def test_compare_tells_lengths_and_angles_by_part(tmp_path: Path) -> None:
    base = snapshot(direct(RESNET))
    there = {name: value + 0.25 if name == "visual.conv1.weight" else value for name, value in base.items()}
    back = {name: value - 0.25 if name == "visual.conv1.weight" else value for name, value in base.items()}
    for name, state in (("b", base), ("t", there), ("u", back)):
        save_state_dict(state, tmp_path / f"{name}.safetensors")
    b, t, u = (tmp_path / f"{name}.safetensors" for name in ("b", "t", "u"))
    result = run("compare", b, t, u)
    assert result.exit_code == 0, result.output
    (line,) = [line.split() for line in result.stdout.splitlines() if "visual.conv1 " in line]
    assert line[-2:] == ["-1.00", "-1.00"]
    assert "moved by neither" in result.stdout
    told = json.loads(run("compare", b, t, u, "--json").stdout)
    assert (told[-1]["part"], told[-1]["cosine"]) == ("all", pytest.approx(-1))
    assert "τ" not in run("compare", b, b, b).stdout


@pytest.mark.parametrize("text", ["m.pt", "m.pt=", "m.pt=much", "m.pt=nan", "=1e999"])
def test_what_is_no_addition_is_refused(text: str, tmp_path: Path) -> None:
    error = run("merge", tmp_path / "b", "--add", text, "--out", tmp_path / "out").exception
    assert isinstance(error, TbarError)
    assert f"--add {text}: give FILE=WEIGHT" in str(error)
