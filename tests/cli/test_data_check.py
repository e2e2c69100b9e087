from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tbar_ray.cli import main as cli
from tests.data.tars import picture, sample, write_shard, write_tar

runner = CliRunner()


def test_sound_corpus(tmp_path: Path) -> None:
    write_shard(tmp_path / "00000.tar", ["a", "b"])
    result = runner.invoke(cli.app, ["data", "check", str(tmp_path)])
    assert result.exit_code == 0
    assert "2 samples in 1 shard: ok" in result.stdout


def test_json_is_all_there_is_on_stdout(tmp_path: Path) -> None:
    write_tar(tmp_path / "00000.tar", [*sample("a"), *sample("b", image=b"broken")])
    result = runner.invoke(cli.app, ["data", "check", str(tmp_path), "--json", "--workers", "1"])
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert report["total"]["unreadable_images"] == 1
    assert report["problems"][0]["key"] == "b"
    plain = runner.invoke(cli.app, ["data", "check", str(tmp_path), "--json", "--no-decode"])
    assert plain.exit_code == 0
    assert json.loads(plain.stdout)["total"]["heights"] is None


def test_problems_are_listed(tmp_path: Path) -> None:
    write_tar(tmp_path / "00000.tar", [(f"[red]{number}.jpg", b"x") for number in range(15)])
    result = runner.invoke(cli.app, ["data", "check", str(tmp_path)])
    assert result.exit_code == 1
    assert "[red]0: unreadable image" in result.stdout
    assert "and 10 more" in result.stdout
    assert "30 problems" in result.stdout


def test_of_many_shards_only_the_bad_are_shown(tmp_path: Path) -> None:
    for number in range(31):
        write_shard(tmp_path / f"{number:05d}.tar", [f"{number}"])
    write_tar(tmp_path / "bad.tar", [("x.txt", b"no image")])
    result = runner.invoke(cli.app, ["data", "check", str(tmp_path), "--workers", "1"])
    assert result.exit_code == 1
    assert "bad.tar" in result.stdout
    assert "00007.tar" not in result.stdout
    assert "31 samples" not in result.stdout
    assert "32 samples in 32 shards" in result.stdout


def test_bad_input_is_one_line_and_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["tbar", "data", "check", str(tmp_path / "none.tar")])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 2
    assert "error: no such shard" in capsys.readouterr().err


def test_a_command_is_shown_before_a_shell_runs_it(tmp_path: Path) -> None:
    write_shard(tmp_path / "a.tar", ["a"])
    told = runner.invoke(cli.app, ["data", "check", f"pipe:cat {tmp_path}/a.tar # token=abc"])
    assert (told.exit_code, told.stderr.splitlines()[0]) == (0, f"a shell runs: cat {tmp_path}/a.tar # token=***")


def test_members_that_are_not_together_are_one_line(tmp_path: Path) -> None:
    members = [member for place in range(2) for key in "abc" for member in [sample(key)[place]]]
    write_tar(tmp_path / "a.tar", members)
    told = runner.invoke(cli.app, ["data", "check", str(tmp_path)])
    assert told.exit_code == 1
    assert [line for line in told.stdout.splitlines() if "a.tar: " in line] == [
        f"{tmp_path}/a.tar: 3 members not beside the others of their sample (first: a.txt): joined here, but lost to "
        f"other readers of WebDataset; pack the shard anew with `tar --sort=name`"
    ]


def test_an_evaluation_set_is_checked_split_by_split(tmp_path: Path) -> None:
    for split, label in (("test", b"0"), ("train", b"7")):
        (tmp_path / split).mkdir()
        (tmp_path / split / "nshards.txt").write_text("1")
        write_tar(tmp_path / split / "0.tar", [("s0.jpg", picture()), ("s0.cls", label)])
    (tmp_path / "classnames.txt").write_text("hat\n")
    (tmp_path / "zeroshot_classification_templates.txt").write_text("a {c}\n")
    told = runner.invoke(cli.app, ["data", "check", str(tmp_path), "--workers", "1"])
    assert told.exit_code == 1
    assert "class 7, but classnames.txt has 1 classes" in told.stdout
    assert told.stdout.splitlines()[-1] == "evaluation set of 1 classes, 1 templates: not well"
    (tmp_path / "train" / "nshards.txt").unlink()
    told = runner.invoke(cli.app, ["data", "check", str(tmp_path), "--json", "--workers", "1"])
    assert told.exit_code == 0
    assert json.loads(told.stdout)["splits"]["test"]["total"]["samples"] == 1
