from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from tbar_ray.report.figures import rebound_figure
from tbar_ray.report.figures.comeback_figure import RETURNS, STAYS, WAS_THERE
from tbar_ray.report.figures.rebound_figure import MOST
from tests.records.records import curve_of, rebounding, record
from tests.report.figures.test_figures import legend_of, rendered, text_of

CURVES = {
    "returns": (curve_of(0.02, 0.3, 0.6, 0.4), RETURNS),
    "stays": (curve_of(0.0, 0.02, 0.01, 0.0), STAYS),
    "there": (curve_of(0.5, 0.6, 0.4, 0.3), WAS_THERE),
}


def many(attacks: tuple[str, ...] = ("badnets",), seeds: int = 5) -> Figure:
    return rebound_figure(
        [
            record(attack, method=method, seed=seed, rebounds=(rebounding(curve),))
            for attack in attacks
            for method, (curve, _) in CURVES.items()
            for seed in range(seeds)
        ]
    )


def bars(axes: Axes) -> list[Line2D]:
    """The bars of all models, which lie flat."""
    return [line for line in axes.get_lines() if len(line.get_xdata()) == 2 and len(set(line.get_ydata())) == 1]


def test_of_many_models_each_is_a_bar_from_its_asr_as_cleaned_to_the_highest() -> None:
    figure = many(("badnets", "sig"))
    assert MOST < 3 * 5
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in shown] == ["badnets", "sig"]
    assert [tick.get_text() for tick in shown[0].get_yticklabels()] == ["stays", "returns", "there"]
    found = bars(shown[0])
    assert len(found) == 15
    for method, (curve, colour) in CURVES.items():
        ends = [curve.figures.start, curve.figures.highest]
        assert sum(bar.get_color() == colour and np.allclose(bar.get_xdata(), ends) for bar in found) == 5, method
    _, texts = legend_of(figure)
    assert [text.get_text() for text in texts] == [
        "stays at 10% or less", "comes back", "was not removed", "ASR as cleaned", "highest ASR",
        "infected model, highest", "clean model, highest",
    ]  # fmt: skip
    assert "15 trials" not in text_of(figure)
    assert "30 trials" in text_of(figure)
    rendered(figure)


def test_seeds_of_a_row_lie_beside_one_another() -> None:
    places = [float(bar.get_ydata()[0]) for bar in bars(many().axes[0])]
    assert len(set(places)) == 15
    assert [round(place) for place in sorted(places)] == [0] * 5 + [1] * 5 + [2] * 5


def test_a_few_models_are_lines_along_the_steps() -> None:
    figure = many(seeds=2)
    assert [axes.get_xlabel() for axes in figure.axes] == ["", "steps (logarithmic from 10)"]
