"""Hints for misspelt names."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(name: str, known: Iterable[str], most: int = 8) -> str:
    """Return '; did you mean …?', or the known names where none is close, to end an error line."""
    candidates = sorted(known)
    close = get_close_matches(name, candidates, n=3, cutoff=0.5)
    if close:
        return f"; did you mean {' or '.join(repr(match) for match in close)}?"
    listed = ", ".join(candidates[:most]) + (", …" if len(candidates) > most else "")
    return f"; known: {listed}"
