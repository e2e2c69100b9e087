from __future__ import annotations

import io
import warnings

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, Locator

from tbar_ray.report.figures import ablation_figure, alpha_figure, attacks_figure, style, tradeoff_figure
from tests.records.records import failed, grid, infeasible, record
from tests.report.figures.test_figures import rendered

LITERAL = r"a_1 $\frac$ <b> $x^2$"
"""What matplotlib's mathtext cannot read: it would fail on it."""


class Growing(Locator):
    """Ticks that become more whenever they are asked for, so that some come to be while a figure is drawn."""

    def __init__(self) -> None:
        self.count = 2

    def __call__(self) -> list[float]:
        self.count += 1
        return [i / self.count for i in range(self.count)]


@pytest.mark.parametrize("arranged", [True, False])
def test_every_text_of_a_figure_is_drawn_as_it_is_written(arranged: bool) -> None:
    figure = style.new_figure(16, 6, arranged)
    (block, other) = figure.subfigures(1, 2)
    axes = block.subplots()
    style.panel_title(axes, LITERAL, style.INK, line=LITERAL)
    axes.set_xlabel(LITERAL)
    axes.set_xticks([0, 1], [LITERAL, "b"])
    axes.yaxis.set_major_formatter(FuncFormatter(lambda *_: LITERAL))
    axes.yaxis.set_major_locator(Growing())
    axes.text(0, 0, LITERAL)
    other.suptitle(LITERAL)
    style.legend(figure, [style.heading(LITERAL), style.key(LITERAL, color="red")])
    style.titles(figure, LITERAL, LITERAL)
    rendered(figure)
    texts = [text for text in figure.findobj(Text) if text.get_text()]
    assert len(texts) > 12
    assert not any(text.get_parse_math() for text in texts)


def test_dollar_signs_take_their_room() -> None:
    def width(written: str) -> float:
        figure = style.new_figure(4, 2)
        text = figure.text(0, 0, written)
        FigureCanvasAgg(figure).draw()
        return float(text.get_window_extent().width)

    assert width("$a$ and $b$") > width("a and b") + 20


def test_an_attack_and_an_axis_of_any_name_are_drawn() -> None:
    records = [record(LITERAL, axes={"attacks.$x.parameters.$y": value}) for value in (LITERAL, r"$\sum")]
    for draw in (alpha_figure, ablation_figure, tradeoff_figure, attacks_figure):
        figure = draw(records)
        rendered(figure)
        said = [text.get_text() for text in figure.findobj(Text)]
        assert any(LITERAL in text for text in said)
        assert any("$y" in text for text in said)


def test_trials_without_a_result_are_counted() -> None:
    assert style.trials_left_out([record(), infeasible(size=20), failed(), failed(seed=1)]) == (
        "Of 4 trials, 2 failed and 1 infeasible (no α retains enough CA)."
    )
    assert style.trials_left_out(grid()) == ""


@pytest.mark.parametrize(
    ("label", "falls_back"), [("红色的圆", True), ("赤い円 $x_1$", True), ("rot <b> | é_1", False)]
)
def test_east_asian_letters_are_drawn_with_a_font_that_has_them(
    label: str, falls_back: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a font that is installed everywhere stands for one with the letters
    monkeypatch.setattr(style, "_east_asian_fonts", lambda: ["DejaVu Serif"])
    figure = style.new_figure(3, 2)
    text = figure.text(0.1, 0.5, label)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it has not
        for _ in range(2):
            figure.savefig(io.BytesIO(), format="png")
    assert (text.get_fontfamily()[1:] == ["DejaVu Serif"]) is falls_back
    assert text.get_text() == label


def test_ticks_in_percent_have_no_decimals_that_say_nothing() -> None:
    axes = style.new_figure(4, 3).subplots()
    axes.set_ylim(0.95, 1)
    style.percent(axes, "y")
    assert axes.yaxis.get_major_formatter().format_ticks([0.9, 0.975, 1.0]) == ["90%", "97.5%", "100%"]


def test_only_installed_fonts_are_named() -> None:
    from matplotlib.font_manager import get_font_names

    assert set(style._east_asian_fonts()) <= set(get_font_names()) & set(style.EAST_ASIAN)


def test_a_title_ends_left_of_the_legend() -> None:
    figure = alpha_figure([record(axes={"learning_rate": rate}) for rate in (1e-6, 1e-5)])
    FigureCanvasAgg(figure).draw()
    title, (legend,) = next(text for text in figure.texts if "Validation" in text.get_text()), figure.legends
    assert title.get_window_extent().x1 < legend.get_window_extent().x0
