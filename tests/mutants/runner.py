"""Runs tests against mutants, in copies of the tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.mutants.mutant import Mutant

Verdict = Literal["killed", "survived", "not run"]
COPIED = ("tbar_ray", "tests", "jobs", "pyproject.toml")
TIMEOUT = 600
"""Seconds after which tests count as failed: a mutant may loop for ever."""
FAILED, PASSED = 1, 0
"""Exit codes of pytest; any other means that no test could say anything."""


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant; `output` ends what pytest printed, where no test ran."""

    mutant: Mutant
    verdict: Verdict
    seconds: float
    output: str = ""


class Tree:
    """A copy of the repository that may be broken.

    Args:
        root: the repository; it is only read.
        copy: where the copy goes.
    """

    def __init__(self, root: Path, copy: Path) -> None:
        self._copy = copy
        for name in COPIED:
            if (root / name).is_dir():
                shutil.copytree(root / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
            elif (root / name).exists():
                shutil.copy2(root / name, copy / name)

    def run(self, tests: Iterable[str], timeout: float | None = None) -> tuple[int, str]:
        """Return pytest's exit code and the last lines that it printed; code 1 where it took too long (seconds)."""
        # no bytecode: a file that is changed and put back within a second would be taken for the old one
        environment = {**os.environ, "PYTHONPATH": str(self._copy), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
        try:
            done = subprocess.run(
                command, cwd=self._copy, env=environment, capture_output=True, text=True, timeout=timeout, check=False
            )
        except subprocess.TimeoutExpired:
            return FAILED, f"no end after {timeout} s"
        return done.returncode, "\n".join((done.stdout + done.stderr).splitlines()[-12:])

    def judge(self, mutant: Mutant) -> Outcome:
        """Break one place, run its tests, and restore the place."""
        file, started = self._copy / mutant.file, time.perf_counter()
        whole, broken = file.read_text(encoding="utf-8"), mutant.applied(self._copy)
        file.write_text(broken, encoding="utf-8")
        try:
            code, output = self.run(mutant.tests.split(), TIMEOUT)
        finally:
            file.write_text(whole, encoding="utf-8")
        seconds = time.perf_counter() - started
        if code == FAILED:
            return Outcome(mutant, "killed", seconds)
        return Outcome(mutant, "survived" if code == PASSED else "not run", seconds, output)
