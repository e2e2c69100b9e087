from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.table import Table

import tbar_ray.cli
from tbar_ray.cli.console import make_console

ODD = "/data/odd [v2] [bold]/:cat:/[/] {a,b}"


def test_names_and_paths_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    console = make_console(width=200)
    console.print(ODD)
    table = Table(ODD, title=ODD, caption=ODD)
    table.add_row(ODD)
    console.print(table)
    assert capsys.readouterr().out.count(ODD) == 5


def test_every_command_prints_on_such_a_console() -> None:
    folder = Path(tbar_ray.cli.__file__).parent
    others = [path for path in folder.glob("*.py") if path.name != "console.py"]
    assert len(others) > 10
    assert [path.name for path in others if "Console(" in path.read_text()] == []


def test_a_terminal_without_the_characters_is_no_traceback() -> None:
    program = (
        "import sys; sys.argv = ['tbar', 'campaign', 'plan', 'ä→β.yaml']\n"
        "from tbar_ray.cli.console import replace_what_cannot_be_shown, make_console\n"
        "replace_what_cannot_be_shown(); make_console().print('α → ASR')\n"
        "from tbar_ray.cli.main import main; main()"
    )
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, env=environment, check=False)
    assert ended.stdout == b"? ? ASR\n"
    assert (ended.returncode, ended.stderr) == (2, b"error: ???.yaml: No such file or directory\n")


def test_streams_that_are_no_terminals_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from tbar_ray.cli.console import replace_what_cannot_be_shown

    monkeypatch.setattr(sys, "stdout", io.StringIO())
    replace_what_cannot_be_shown()
