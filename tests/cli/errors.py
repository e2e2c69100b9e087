"""What a command that refuses its input prints."""

from __future__ import annotations

import sys

import pytest

from tbar_ray.cli.main import main


def error_of(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """Return the one line of `tbar WORDS`, which has to end with exit code 2 and to print nothing else."""
    monkeypatch.setattr(sys, "argv", ["tbar", *map(str, words)])
    with pytest.raises(SystemExit) as caught:
        main()
    out, err = capsys.readouterr()
    assert (caught.value.code, out) == (2, "")
    (line,) = err.splitlines()
    return line
