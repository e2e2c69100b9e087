from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tbar_ray.cli.bench import BENCHES
from tbar_ray.cli.completion import bench_names, inversion_names, method_names, spec_names, trigger_names

RUN = "from tbar_ray.cli.main import app; app(prog_name='tbar')"


def test_names_that_begin_as_typed() -> None:
    assert method_names("twin") == ["twin-distillation"]
    assert {"badnets", "badnets-lattice"} <= set(trigger_names("badnets"))
    assert inversion_names("decr") == ["decree"]
    assert "badclip/sig" in trigger_names("badclip/")
    assert spec_names("paper/al") == ["paper/alpha"]
    assert set(bench_names("")) == set(BENCHES)
    assert bench_names("no such") == []


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("tbar bench st", "stream"),
        ("tbar init paper/al", "paper/alpha"),
        ("tbar unlearn --method twin", "twin-distillation"),
    ],
)
def test_a_shell_is_told_values(words: str, expected: str) -> None:
    asked = {"_TBAR_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    told = subprocess.run(
        [sys.executable, "-c", RUN], env={**os.environ, **asked}, capture_output=True, text=True, check=True
    )
    assert expected in told.stdout.split()
