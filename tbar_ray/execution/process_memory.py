"""The most memory that this process has held since a moment, as Linux counts it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

_STATUS: Final = Path("/proc/self/status")
_CLEAR: Final = Path("/proc/self/clear_refs")
_PEAK: Final = "VmHWM:"


def forget_peak() -> None:
    """Let the count begin anew at what is held now; where the system does not allow it, it goes on."""
    with suppress(OSError):
        _CLEAR.write_text("5")


def peak_memory() -> int | None:
    """Bytes of resident memory, that of imported libraries among them; None where the system does not tell."""
    with suppress(OSError, ValueError):
        for line in _STATUS.read_text().splitlines():
            if line.startswith(_PEAK):
                return int(line.split()[1]) * 1024
    return None
