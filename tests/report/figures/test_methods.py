from __future__ import annotations

from matplotlib.axes import Axes

from tbar_ray.report.figures import methods_figure, style
from tbar_ray.report.figures.methods import COLOUR
from tests.records.records import failed, record, scores
from tests.report.figures.test_figures import text_of


def marks(axes: Axes) -> dict[int, tuple[float, str, str]]:
    """Value, colour and fill of the mark of each row of a panel."""
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    return {line.get_ydata()[0]: (line.get_xdata()[0], line.get_color(), line.get_markerfacecolor()) for line in dots}


def rows(axes: Axes) -> list[str]:
    return [label.get_text() for label in axes.get_yticklabels()]


def test_every_method_has_a_row_with_its_test_scores() -> None:
    records = [record(method="tbar"), record(method="finetune", size=300), failed(method="broken")]
    figure = methods_figure(records)
    asr, ca = figure.axes
    for made in records[:2]:
        row = rows(asr).index(made.method)
        assert marks(asr)[row][0] == made.value("asr")
        assert marks(ca)[row][0] == made.value("ca")
    assert "broken" not in rows(asr)
    assert "Of 3 trials, 1 failed" in text_of(figure)


def test_the_best_on_validation_come_first_and_alone_have_colour() -> None:
    strengths = {"worst": 0.1, "weak": 0.2, "fair": 0.3, "good": 0.4, "best": 0.5}
    records = [record(method=name, alphas=(0.0, alpha)) for name, alpha in strengths.items()]
    asr, _ = methods_figure(records).axes
    assert rows(asr) == ["best", "good", "fair", "weak", "worst"]
    assert [marks(asr)[row][1] for row in range(5)] == [COLOUR] * 3 + [style.GREY] * 2


def test_what_did_not_keep_ca_is_hollow_and_named_at_the_edge_of_the_panel() -> None:
    lost = record(method="harmful", removed=scores(0.2, 0.0, 0.1), status="infeasible")
    asr, ca = methods_figure([record(), lost]).axes
    assert [marks(asr)[row][2] for row in (0, 1)] == [COLOUR, "white"]
    assert [text.get_text() for text in ca.texts] == ["◂ 20%"]


def test_of_what_was_tried_of_a_method_the_best_is_drawn_and_the_others_counted() -> None:
    records = [record(axes={"tbar.learning_rate": rate}) for rate in (1e-5, 1e-4)]
    assert "the best on validation is shown: 1 other not." in text_of(methods_figure(records))
    assert "other not" not in text_of(methods_figure([record(), record(seed=1)]))
