"""Lines of a running campaign: with the time, without secrets."""

from __future__ import annotations

import time

from rich.console import Console
from rich.text import Text

from tbar_ray.colours import warned
from tbar_ray.redaction import redact


def say(console: Console, line: str) -> None:
    """Print a line with the time of day."""
    _print(console, Text(redact(line.rstrip())))


def warn(console: Console, line: str) -> None:
    """Print a warning with the time of day."""
    _print(console, warned(redact(f"warning: {line.rstrip()}")))


def _print(console: Console, text: Text) -> None:
    console.print(Text.assemble(f"{time.strftime('%H:%M:%S')}  ", text), soft_wrap=True)
