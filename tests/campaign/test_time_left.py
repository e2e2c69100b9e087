from __future__ import annotations

import pytest

from tbar_ray.campaign.time_left import TimeLeft, told


def test_the_pace_of_the_last_trials_counts_and_not_the_first_wait() -> None:
    left = TimeLeft(10)
    left.trial_ended(500.0)
    left.trial_ended(502.0)
    assert left.seconds(502.0) is None
    left.trial_ended(504.0)
    assert left.seconds(504.0) == 7 * 2
    assert left.seconds(505.0) == 7 * 2 - 1
    assert left.seconds(999.0) == 0
    for number in range(40):  # another method, half as fast
        left.trial_ended(504.0 + 4 * number)
    assert TimeLeft(10).seconds(0) is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (42.4, "about 42 s left"), (600.0, "about 10 min left"), (9000.0, "about 2.5 h left")],
)
def test_it_is_told_in_words(seconds: float | None, text: str) -> None:
    assert told(seconds) == text
