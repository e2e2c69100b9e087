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


def test_another_method_has_another_pace_and_the_end_none() -> None:
    left = TimeLeft(100)
    for number in range(40):
        left.trial_ended(2.0 * number)
    for number in range(1, 41):  # half as fast
        left.trial_ended(80.0 + 4 * number)
    assert left.seconds(240.0) == 20 * 4
    for number in range(20):
        left.trial_ended(240.0 + number)
    assert left.seconds(260.0) is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, ""), (42.4, "about 42 s left"), (600.0, "about 10 min left"), (9000.0, "about 2.5 h left")],
)
def test_it_is_told_in_words(seconds: float | None, text: str) -> None:
    assert told(seconds) == text
