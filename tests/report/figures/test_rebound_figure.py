from __future__ import annotations

import numpy as np

from tbar_ray.report.figures import rebound_figure
from tests.records.records import curve_of, failed, rebounding, record
from tests.report.figures.test_figures import legend_of, rendered, text_of

RETURNS = rebounding(curve_of(0.0, 0.3, 0.6, 0.4, reestimated=0.2))
STAYS = rebounding(curve_of(0.02, 0.02, 0.02, 0.02))


def test_asr_over_ca_of_every_attack_with_the_models_beside() -> None:
    figure = rebound_figure(
        [record("badnets", method="a", rebounds=(RETURNS,)), record("badnets", method="b", rebounds=(STAYS,)),
         record("blended", method="a", rebounds=(STAYS,)), failed("sig")]
    )  # fmt: skip
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["badnets", "blended", "", ""]
    top = figure.axes[0]
    lines = {line.get_color(): np.asarray(line.get_ydata()) for line in top.get_lines() if len(line.get_xdata()) == 4}
    assert len(lines) == 4, "two trials, the infected and the clean model"
    assert any(np.allclose(values, [0, 0.3, 0.6, 0.4], atol=1e-3) for values in lines.values())
    hollow = [line for line in top.get_lines() if line.get_markerfacecolor() == "white"]
    assert [float(line.get_ydata()[0]) for line in hollow] == [0.2]
    assert [tick.get_text() for tick in figure.axes[2].get_xticklabels()] == ["0", "10", "20", "30"]
    _, texts = legend_of(figure)
    assert [text.get_text() for text in texts] == [
        "model", "a", "b", "infected model", "clean model", "step 0′: statistics",
    ]  # fmt: skip
    assert {axes.get_yscale() for axes in figure.axes[:2]} == {"symlog"}, "small values of ASR are apart"
    assert {axes.get_yscale() for axes in figure.axes[2:]} == {"linear"}
    told = text_of(figure)
    assert "3 trials" in told
    assert "learning rate 0.0001" in told
    assert "1 failed" in told
    rendered(figure)


def test_seeds_share_a_look_and_one_method_needs_no_name() -> None:
    figure = rebound_figure([record(seed=seed, rebounds=(STAYS,)) for seed in (0, 1)])
    _, texts = legend_of(figure)
    assert [text.get_text() for text in texts] == ["model", "after removal", "infected model", "clean model"]


def test_without_rebound_there_is_a_sentence() -> None:
    assert "has not been measured" in text_of(rebound_figure([record()]))


def test_many_attacks_take_several_rows() -> None:
    figure = rebound_figure([record(f"attack-{place}", rebounds=(STAYS,)) for place in range(5)])
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in shown if axes.get_title(loc="left")] == [
        f"attack-{place}" for place in range(5)
    ]
    assert (len(figure.axes), len(shown)) == (12, 10)
