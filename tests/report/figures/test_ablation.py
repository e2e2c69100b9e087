from __future__ import annotations

from itertools import pairwise, product
from typing import Any

import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tbar_ray.report.figures import ablation_figure
from tests.records.records import epochs_grid, failed, grid, infeasible, matrix, record
from tests.report.figures.test_figures import legend_of, text_of

EPOCHS, ARCHITECTURE = "model.training.epochs", "model.architecture"


def columns(figure: Figure) -> list[str]:
    """What lies along x and y of the panels of the first row."""
    return [f"{axes.get_ylabel()} / {axes.get_xlabel()}" for axes in figure.axes if axes.get_visible()]


def joined(axes: Axes) -> list[list[list[float]]]:
    """The points of the lines that join means; marks join nothing, and references run over the whole panel."""
    whole = axes.get_yaxis_transform()
    return [line.get_xydata().tolist() for line in axes.lines
            if line.get_linestyle() != "None" and line.get_transform() != whole]  # fmt: skip


def test_shows_only_axes_that_vary() -> None:
    assert set(columns(ablation_figure(grid(fractions=(0.0,))))) == {
        "test ASR / forget-set size (log scale)", "test CA / forget-set size (log scale)"
    }  # fmt: skip
    assert "No axis varies" in text_of(ablation_figure(matrix()))
    assert "No axis varies" in text_of(ablation_figure([record(seed=0), record(seed=1)]))


def test_the_two_usual_axes_are_drawn_along_each_other() -> None:
    figure = ablation_figure(grid())
    assert columns(figure)[:4] == [
        "test ASR / forget-set size (log scale)", "test CA / forget-set size (log scale)",
        "test ASR / clean fraction", "test CA / clean fraction"
    ]  # fmt: skip
    by_size, by_fraction = joined(figure.axes[0]), joined(figure.axes[2])
    made = {(r.forget_size, r.clean_fraction): r.value("asr") for r in grid() if r.attack == "badnets"}
    assert [[y for _, y in line] for line in by_size] == [[made[s, f] for s in (20, 300)] for f in (0.0, 0.5)]
    assert [[y for _, y in line] for line in by_fraction] == [[made[s, f] for f in (0.0, 0.5)] for s in (20, 300)]
    handles, texts = legend_of(figure)
    assert [t.get_text() for t in texts][:6] == ["clean fraction", "0%", "50%", "forget-set size", "20", "300"]
    assert [handle.get_marker() for handle in handles[1:3]] == ["o", "s"]
    assert [handle.get_marker() for handle in handles[4:6]] == ["o", "o"]
    assert handles[4].get_color() != handles[5].get_color()


def test_an_axis_without_a_short_name_is_drawn_under_its_label() -> None:
    records = epochs_grid((1, 3))
    figure = ablation_figure(records)
    assert columns(figure) == ["test ASR / epochs", "test CA / epochs"] * 2
    (line,) = joined(figure.axes[0])
    assert line == [[1, records[0].value("asr")], [3, records[1].value("asr")]]
    assert line[0][1] != line[1][1]
    figure.draw_without_rendering()
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["1", "3"]


def test_numbers_that_span_more_than_ten_lie_by_their_logarithm() -> None:
    assert ablation_figure(epochs_grid((1, 3))).axes[0].get_xscale() == "linear"
    wide = ablation_figure(epochs_grid((1, 30)))
    assert wide.axes[0].get_xscale() == "log"
    assert wide.axes[0].get_xlabel() == "epochs (log scale)"
    counts = ablation_figure(grid(sizes=(100, 300)))  # counts are chosen by factors
    assert [axes.get_xscale() for axes in counts.axes[:4:2]] == ["log", "linear"]


def test_names_lie_side_by_side_in_order_of_appearance() -> None:
    records = [record(axes={ARCHITECTURE: name}) for name in ("ViT-B-32", "RN50", "$x$")]
    axes = ablation_figure(records).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["ViT-B-32", "RN50", "$x$"]
    (line,) = joined(axes)
    assert [x for x, _ in line] == [0, 1, 2]


def test_trials_without_a_value_have_a_place_where_the_axis_has_a_word_for_them() -> None:
    records = [record(axes={"belief": belief}) for belief in (None, "half", "other")]
    axes = ablation_figure(records).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["as it is", "half", "other"]
    (line,) = joined(axes)
    assert line == [[x, r.value("asr")] for x, r in enumerate(records)]
    unnamed = [record(axes={ARCHITECTURE: name}) for name in (None, "RN50", "ViT-B-32")]
    assert [label.get_text() for label in ablation_figure(unnamed).axes[0].get_xticklabels()] == ["RN50", "ViT-B-32"]


def test_every_axis_has_lines_of_the_next() -> None:
    values = product((0.01, 0.05), (1, 3), ("ViT-B-32", "RN50"))
    records = [record(poisoning_rate=p, axes={EPOCHS: e, ARCHITECTURE: a}) for p, e, a in values]
    figure = ablation_figure(records)
    assert columns(figure)[::2] == [
        "test ASR / poisoning rate\nlines: epochs", "test ASR / epochs\nlines: architecture",
        "test ASR / architecture\nlines: poisoning rate",
    ]  # fmt: skip
    assert [len(joined(axes)) for axes in figure.axes[::2]] == [2, 2, 2]
    figure.draw_without_rendering()
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["1%", "5%"]
    assert "small points are single trials" in text_of(figure)


def test_of_more_than_four_axes_the_note_names_the_others() -> None:
    axes: list[dict[str, Any]] = [{EPOCHS: e, ARCHITECTURE: a} for e, a in product((1, 3), ("ViT-B-32", "RN50"))]
    records = [record(size=s, fraction=f, poisoning_rate=p, axes=more)
               for s, f, p, more in product((20, 300), (0.0, 0.5), (0.01, 0.05), axes)]  # fmt: skip
    figure = ablation_figure(records)
    assert len(columns(figure)) == 8
    assert "Of 5 axes the first 4 are drawn, not: architecture." in text_of(figure)


def test_trials_of_a_method_without_the_axis_are_left_out_along_it() -> None:
    steps = [record(method="finetune", axes={"finetune.steps": n}) for n in (1, 3)]
    sizes = [record(size=size) for size in (20, 300)]  # of plain TBAR, which has no such parameter
    figure = ablation_figure([*steps, *sizes])
    titled = [axes for axes in figure.axes if axes.get_visible()]
    assert [len(joined(axes)) for axes in titled[:4:2]] == [0, 1]  # finetune: one forget-set size, two steps
    assert [len(joined(axes)) for axes in titled[4::2]] == [1]  # TBAR has no panel along steps
    _, texts = legend_of(figure)
    assert "not set" in [text.get_text() for text in texts]


def test_no_panel_is_drawn_for_an_axis_that_a_method_does_not_have() -> None:
    own = [record(method=name, axes={f"{name}.steps": n}) for name in ("finetune", "prune") for n in (1, 3)]
    panels = [axes for axes in ablation_figure(own).axes if axes.get_visible()]
    assert sorted({axes.get_xlabel() for axes in panels}) == ["finetune steps", "prune steps"]
    assert len(panels) == 2 * 2  # ASR and CA of each method along its own axis
    assert all(joined(axes) for axes in panels)


def test_many_values_are_not_joined() -> None:
    assert len(joined(ablation_figure(epochs_grid(tuple(range(1, 9)))).axes[0])) == 1
    assert joined(ablation_figure(epochs_grid(tuple(range(1, 10)))).axes[0]) == []


def test_gaps_are_marked() -> None:
    figure = ablation_figure([record(), infeasible(size=20), failed(fraction=0.5)])
    marks = {line.get_marker(): line.get_xdata()[0] for line in figure.axes[0].lines}
    assert marks["v"] == pytest.approx(20, rel=0.2)
    assert marks["x"] == pytest.approx(100, rel=0.2)
    assert "infeasible, no result" in text_of(figure)


@pytest.mark.parametrize("high", [1e-5, 1e-3, 1.0])
def test_ticks_of_many_values_do_not_overlap(high: float) -> None:
    rates = [1e-6 * (high / 1e-6) ** (place / 19) for place in range(20)]
    axes = ablation_figure([record(axes={"learning_rate": rate}) for rate in rates]).axes[0]
    FigureCanvasAgg(axes.figure).draw()
    shown = [label for label in axes.get_xticklabels() if label.get_text()]
    extents = [label.get_window_extent() for label in shown if axes.bbox.x0 - 1 < label.get_window_extent().x1]
    assert len(extents) > 1
    assert all(one.x1 < other.x0 for one, other in pairwise(extents))
