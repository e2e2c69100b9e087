from __future__ import annotations

import pytest

from tbar_ray.leaderboard.critical_difference import Comparison
from tbar_ray.leaderboard.figure import critical_difference_figure


@pytest.mark.parametrize("difference", [1.2, 40.0])
def test_every_method_is_at_its_mean_rank_and_groups_have_bars(difference: float) -> None:
    ranks = {"first $x": 1.0, "second": 1.5, "third": 2.9, "fourth": 3.6}
    figure = critical_difference_figure(Comparison(ranks, 5, difference, None, None))
    (axes,) = figure.axes
    lines = [list(zip(*line.get_data(), strict=True)) for line in axes.lines]
    assert set(ranks.values()) <= {points[0][0] for points in lines if len(points) == 3}
    texts = " | ".join(text.get_text() for text in axes.texts)
    for name, rank in ranks.items():
        assert name in texts
        assert f"{rank:.2f}" in texts
    bars = [line for line in axes.lines if line.get_linewidth() > 3]
    assert len(bars) == len(Comparison(ranks, 5, difference, None, None).groups)
    assert ("longer than the line" in texts) is (difference > 3)
