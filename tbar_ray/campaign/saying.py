"""Lines of a running campaign: with the time, without secrets."""

from __future__ import annotations

import time

from rich.console import Console

from tbar_ray.redaction import redact


def say(console: Console, line: str, style: str | None = None) -> None:
    """Print a line with the time of day."""
    console.print(f"{time.strftime('%H:%M:%S')}  {redact(line.rstrip())}", style=style, markup=False, soft_wrap=True)
