"""Where a result comes from: version, commit, command, machine."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tbar_ray import __version__
from tbar_ray.processors import processors
from tbar_ray.redaction import redact


def commit() -> str | None:
    """The commit that this code is of; None without git, and for an installed package."""
    command = ["git", "rev-parse", "HEAD"]
    try:
        answer = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


def machine() -> str:
    """This machine in words: system, processor, CPUs that may be used, and memory; without its name."""
    parts = [platform.platform(terse=True), platform.machine(), f"{processors()} CPUs"]
    if hasattr(os, "sysconf"):
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
        parts.append(f"{memory:.0f} GB of memory")
    return ", ".join(filter(None, parts))


def command(words: Sequence[str] | None = None) -> str:
    """The words that started this process, or those given, as a shell takes them, without secrets."""
    words = list(sys.argv if words is None else words)
    return redact(shlex.join([Path(words[0]).name, *words[1:]])) if words else ""


def code() -> str:
    """Version and commit of this code in words."""
    found = commit()
    return f"tbar-ray {__version__}" + (f", commit {found[:12]}" if found else "")
