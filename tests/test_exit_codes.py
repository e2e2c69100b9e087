from __future__ import annotations

import re
import signal
from pathlib import Path

from tbar_ray.exit_codes import ExitCode

PAGE = Path(__file__).parents[1] / "docs" / "campaigns.md"


def test_every_code_is_documented_and_no_other() -> None:
    section = PAGE.read_text().split("## Exit codes", 1)[1].split("\n## ", 1)[0]
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", section, re.M)] == list(ExitCode)


def test_codes_of_signals_are_those_of_shells() -> None:
    assert ExitCode.INTERRUPTED == 128 + signal.SIGINT
    assert ExitCode.HUNG == 128 + signal.SIGALRM
