"""How long the rest of a sweep takes, by the pace of the trials that ended last."""

from __future__ import annotations

from collections import deque

LAST = 32
"""Trials whose pace counts: later ones may be of another method."""
LEAST = 3
"""Trials that must have ended: the first wait for what all share."""


class TimeLeft:
    """An estimate that gets better as trials end.

    Args:
        total: number of trials.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._ended = 0
        self._ends: deque[float] = deque(maxlen=LAST)

    def trial_ended(self, now: float) -> None:
        """A trial has ended; `now` is in seconds, of any clock."""
        self._ended += 1
        self._ends.append(now)

    def seconds(self, now: float) -> float | None:
        """Seconds that are left, 0 or more; None while nobody can tell, and at the end."""
        left = self._total - self._ended
        if len(self._ends) < LEAST or not left:
            return None
        pace = (self._ends[-1] - self._ends[0]) / (len(self._ends) - 1)
        return max(0.0, left * pace - (now - self._ends[-1]))


def told(seconds: float | None) -> str:
    """'about 3 min left'; '' where nobody can tell."""
    if seconds is None:
        return ""
    if seconds < 100:
        return f"about {seconds:.0f} s left"
    return f"about {seconds / 60:.0f} min left" if seconds < 5400 else f"about {seconds / 3600:.1f} h left"
