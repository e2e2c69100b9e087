from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from tbar_ray.records.cells import curves_of, one_per_cell
from tbar_ray.records.record import TrialRecord
from tbar_ray.records.scores import Role
from tbar_ray.report.figures import (
    Examples,
    ablation_figure,
    alpha_figure,
    attacks_figure,
    contact_sheet,
    disentanglement_figure,
    style,
    tradeoff_figure,
    transfer_figure,
)
from tests.records.records import NAMES, epochs_grid, error_map, failed, grid, infeasible, matrix, moved, record, scores

ROLES: tuple[Role, ...] = ("removed", "infected", "clean")
Draw = Callable[[list[TrialRecord]], Figure]
ALL = pytest.mark.parametrize("draw", [alpha_figure, tradeoff_figure, ablation_figure])


def text_of(figure: Figure) -> str:
    parts = [figure.get_suptitle(), figure.get_supxlabel(), *(t.get_text() for t in figure.texts)]
    parts += [t.get_text() for legend in figure.legends for t in legend.get_texts()]
    parts += [axes.get_title(loc="left") for axes in figure.axes]
    return " ".join(" ".join(parts).split())


def legend_of(figure: Figure) -> tuple[list[Any], list[Text]]:
    """The lines and the texts of a figure's legend."""
    (legend,) = figure.legends
    return legend.legend_handles, legend.get_texts()


def rendered(figure: Figure) -> bytes:
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=30)
    return out.getvalue()


@ALL
def test_says_what_it_shows(draw: Draw) -> None:
    figure = draw(grid())
    text = text_of(figure)
    assert "8 trials" in text
    assert "1,200 (CA" in text
    assert "1,180 (ASR)" in text
    assert "badnets" in text
    assert "blended" in text


@ALL
@pytest.mark.parametrize("records", [[], [failed()]], ids=["none", "failed"])
def test_nothing_to_show_is_a_sentence(draw: Draw, records: list[TrialRecord]) -> None:
    figure = draw(records)
    assert "No trial has" in text_of(figure)
    assert not figure.axes


@ALL
def test_one_record_several_methods_seeds_and_gaps(draw: Draw) -> None:
    rendered(draw([record(alphas=(0.5,))]))
    assert "badnets · finetune" in text_of(draw([record(), record(method="finetune"), record(seed=1, size=20)]))
    assert "badnets ← sig" in text_of(draw([moved("badnets", "badnets", 0.1), moved("badnets", "sig", 0.2, size=20)]))
    text = text_of(draw([record(), infeasible(size=20), failed(fraction=0.5)]))
    assert "Of 3 trials, 1 failed and 1 infeasible" in text


@ALL
def test_same_records_same_bytes(draw: Draw) -> None:
    picture = rendered(draw(grid()))
    assert picture.startswith(b"\x89PNG")
    assert picture == rendered(draw(grid()))


def test_no_global_state() -> None:
    import matplotlib.pyplot as plt

    alpha_figure(grid())
    assert plt.get_fignums() == []


def boxes(figure: Figure) -> list[list[Any]]:
    """Where each panel, its labels, title and notes lie once the figure has arranged itself."""
    figure.draw_without_rendering()
    found = []
    for axes in figure.axes:
        if axes.get_visible():
            title = axes._left_title  # type: ignore[attr-defined]
            parts = [axes.get_window_extent(), axes.xaxis.get_tightbbox(), axes.yaxis.get_tightbbox()]
            parts += [text.get_window_extent() for text in (title, *axes.texts) if text.get_text()]
            found.append([part for part in parts if part is not None])
    return found


def overlap(one: Any, other: Any) -> float:
    """The pixels by which two boxes overlap."""
    across = min(one.x1, other.x1) - max(one.x0, other.x0)
    return float(min(across, min(one.y1, other.y1) - max(one.y0, other.y0)))


WIDE = pytest.mark.parametrize(
    "make",
    [
        lambda: alpha_figure(matrix()),
        lambda: tradeoff_figure(matrix()),
        lambda: ablation_figure([record(name, size=size) for name in NAMES for size in (20, 300)]),
        lambda: alpha_figure([record(name, size=size) for name in NAMES[:8] for size in (20, 300)]),
        lambda: attacks_figure(matrix()),
        lambda: transfer_figure([moved(a, b, 0.3) for a in NAMES[:6] for b in NAMES[:6]]),
        lambda: disentanglement_figure([record(name, disentanglement=error_map()) for name in NAMES]),
    ],
    ids=["alpha", "tradeoff", "ablation", "alpha-stacked", "attacks", "transfer", "disentanglement"],
)


@WIDE
def test_many_attacks_stay_apart_and_on_the_sheet(make: Callable[[], Figure]) -> None:
    figure = make()
    found = boxes(figure)
    for place, parts in enumerate(found):
        for part in parts:
            assert 0 <= part.x0 < part.x1 <= figure.bbox.width
            assert 0 <= part.y0 < part.y1 <= figure.bbox.height
        for others in found[place + 1 :]:
            assert max(overlap(part, other) for part in parts for other in others) < 1
    shown = [axes for axes in figure.axes if axes.get_visible() and not hasattr(axes, "_colorbar")]
    assert len({round(axes.get_position().x0, 2) for axes in shown}) <= style.COLUMNS
    assert all(min(axes.get_window_extent().size) > 100 for axes in shown)


def test_twenty_four_attacks_look_different() -> None:
    looks = [style.attack_look(name, NAMES) for name in NAMES]
    assert len({tuple(sorted(look.items())) for look in looks}) == 24
    assert {look["marker"] for look in looks} == set(style.GLYPHS)


@pytest.mark.parametrize(("count", "shape"), [(0, (1, 1)), (1, (1, 1)), (6, (1, 6)), (7, (2, 4)), (21, (4, 6))])
def test_panels_wrap_into_even_rows(count: int, shape: tuple[int, int]) -> None:
    assert style.wrapped(count) == shape


def test_titles_of_panels_share_a_size_and_break_before_the_source() -> None:
    assert style.fitted(["badnets", "sig"], 2.8) == (["badnets", "sig"], 11.0)
    long = "badnets-gaussian-wrapped ← label-consistent"
    names, size = style.fitted([long, "sig ← sig"], 2.8)
    assert names == [long.replace(" ←", "\n←"), "sig\n← sig"]
    assert size >= 8.5


def test_the_comparison_of_many_has_the_mark_of_every_title_at_its_test_result() -> None:
    figure = tradeoff_figure(matrix())
    first, second = figure.axes[:2]
    assert first.get_title(loc="left").startswith("all")
    assert second.get_title(loc="left") == "● badnets"
    points = {tuple(np.round(line.get_xydata()[0], 6)) for line in first.lines}
    done = [np.array([r.value("asr"), r.value("ca")], float) for r in matrix() if r.status == "done"]
    assert {tuple(np.round(point, 6)) for point in done} <= points
    assert "● badnets" not in text_of(tradeoff_figure(grid()))


def test_the_tradeoff_shows_an_axis_without_a_short_name() -> None:
    records = epochs_grid((1, 3))
    figure = tradeoff_figure(records)
    legend = {text.get_text(): handle for handle, text in zip(*legend_of(figure), strict=True)}
    assert "epochs" in legend
    colours = [legend[label].get_color() for label in ("1", "3")]
    assert colours[0] != colours[1]
    lines = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 11]
    assert [line.get_color() for line in lines] == colours
    for colour, made in zip(colours, records[:2], strict=True):
        results = [line for line in figure.axes[0].lines if line.get_color() == colour and line.get_marker() == "o"]
        assert any(line.get_xydata().tolist() == [[made.value("asr"), made.value("ca")]] for line in results)


def test_panels_of_the_tradeoff_share_their_scale() -> None:
    figure = tradeoff_figure(grid())
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    low, high = figure.axes[0].get_ylim()
    lows, clean = [made.value("ca") or 1 for made in grid()], grid()[0].value("ca", "clean")
    assert clean is not None
    assert low < min(lows) < clean < high


def test_small_values_of_asr_are_apart_and_equal_results_side_by_side() -> None:
    low = [record(seed=seed, removed=scores(0.8, asr, 0.5)) for seed, asr in enumerate((0.003, 0.013))]
    (axes,) = tradeoff_figure(low).axes
    places = axes.transData.transform([(made.value("asr"), made.value("ca")) for made in low])
    assert places[1][0] - places[0][0] > 0.1 * axes.bbox.width
    same = [record(seed=seed, removed=scores(0.8, 0, 0.5)) for seed in range(3)]
    (axes,) = tradeoff_figure(same).axes
    tests = [line for line in axes.lines if line.get_markersize() == 8.5]
    shown = [line.get_transform().transform((0, 0.8))[0] for line in tests]
    assert len(set(shown)) == 3
    assert shown[0] == axes.transData.transform((0, 0.8))[0] == max(shown)


def test_cells_of_one_alpha_are_in_the_comparison_alone() -> None:
    single = [record(method=name, alphas=(0.5,)) for name in ("finetune", "prune", "abl", "par")]
    figure = tradeoff_figure([record(), *single])
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in shown] == ["all, selected α (test)", "● badnets · tbar"]
    assert len([line for line in shown[0].lines if line.get_markersize() == 6.5]) == 5
    assert "Without a panel: 4 cells of one α" in text_of(figure)


def test_many_equal_results_keep_their_ca_and_stay_on_the_sheet() -> None:
    same = [record(name, removed=scores(0.8, 0, 0.5)) for name in NAMES]
    axes = tradeoff_figure(same).axes[0]
    places = [line.get_transform().transform((0, 0.8)) for line in axes.lines if line.get_markersize() == 6.5]
    assert len({x for x, _ in places}) == len(NAMES)
    assert {y for _, y in places} == {axes.transData.transform((0, 0.8))[1]}
    assert min(x for x, _ in places) > axes.bbox.x0


def test_panels_of_ca_share_their_scale_in_an_ablation() -> None:
    ca = [axes for axes in ablation_figure(epochs_grid()).axes if axes.get_ylabel() == "test CA"]
    assert len({axes.get_ylim() for axes in ca}) == 1
    asr = [axes for axes in ablation_figure(epochs_grid()).axes if axes.get_ylabel() == "test ASR"]
    assert {axes.get_yscale() for axes in asr} == {"symlog"}


def test_no_axis_shows_a_share_beyond_all_or_nothing() -> None:
    axes = ablation_figure([record(size=size, removed=scores(1, 0, 1)) for size in (20, 300)]).axes[1]
    assert max(tick for tick in axes.get_yticks() if tick <= axes.get_ylim()[1]) == 1


def test_attacks_have_a_row_each_and_say_what_became_of_them() -> None:
    figure = attacks_figure(matrix())
    first, last = figure.axes[0], figure.axes[-1]
    labels = [label.get_text() for label in first.get_yticklabels()]
    assert labels == sorted(NAMES)
    said = {labels[round(text.xy[1])]: text.get_text() for text in last.texts}
    assert said == {
        **dict.fromkeys(("wanet", "sig-blended", "ftrojan"), "attack did not take"), "fourier": "infeasible"
    }  # fmt: skip
    assert [axes.get_xscale() for axes in figure.axes] == ["symlog", "linear", "linear"]
    row = labels.index("badnets")
    xs = {round(float(line.get_xdata()[0]), 3) for line in first.lines if list(line.get_ydata()) == [row]}
    made = matrix()[0]
    assert {round(made.value("asr", role) or 0, 3) for role in ROLES} <= xs


def test_attacks_of_very_many_cells_show_the_best_of_each() -> None:
    figure = attacks_figure([record(name, size=10 * i) for name in NAMES[:7] for i in range(1, 11)])
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == sorted(NAMES[:7])
    assert "Of 70 cells" in text_of(figure)
    labels = [label.get_text() for label in attacks_figure(grid()).axes[0].get_yticklabels()]
    assert labels[0] == "badnets, forget set 20, clean 0%"
    labels = [label.get_text() for label in attacks_figure(epochs_grid((1, 3))).axes[0].get_yticklabels()]
    assert labels == ["badnets, epochs 1", "badnets, epochs 3", "blended, epochs 1", "blended, epochs 3"]


def test_legend_stays_short_with_many_cells() -> None:
    records = [record(size=10 + 17 * i, fraction=i / 61, alphas=(i / 60,)) for i in range(60)]
    assert len(alpha_figure(records).legends[0].get_texts()) < 18


def test_trials_of_one_alpha_share_a_curve_and_one_is_selected() -> None:
    records = [record(alphas=(alpha,)) for alpha in (0.9, 0.1, 0.5)]
    (curve,) = curves_of(records, ("asr",), mean_of_seeds=False)
    assert curve.alphas == [0.1, 0.5, 0.9]
    (best,) = one_per_cell(records)
    assert best.alpha == 0.9
    assert curve.selected == [0.9]


def test_an_infeasible_trial_of_low_asr_is_not_preferred() -> None:
    bad = record(alphas=(0.9,), status="infeasible")
    good = record(alphas=(0.1,))
    assert one_per_cell([bad, good]) == [good]


def test_seeds_are_averaged() -> None:
    (curve,) = curves_of([record(seed=0), record(seed=1)], ("ca",), mean_of_seeds=True)
    ends = [record(seed=s).path[5].ca for s in (0, 1)]
    assert curve.at(0.5, "ca") == pytest.approx(sum(ends) / 2)


@pytest.fixture
def pairs() -> Examples:
    images = np.full((3, 3, 16, 16), 100, np.uint8)
    stamped = images.copy()
    stamped[:, :, :4, :4] = 110
    captions = np.array([["a blue circle for $5 and $6 " * 8, "a photo of a red square"]] * 3)
    return Examples(images, stamped, captions)


def test_contact_sheet(pairs: Examples) -> None:
    figure = contact_sheet({"badnets": pairs})
    rendered(figure)
    difference = np.asarray(figure.axes[6].images[0].get_array())
    assert difference[0, 0, 0] == 128 + 80
    assert difference[15, 15, 0] == 128
    label = figure.axes[6].get_xlabel()
    assert "…" in label
    assert "a blue circle for $5" in label
    assert "a photo of a red square" in label
    assert "No infected model" in text_of(contact_sheet({}))


def test_contact_sheet_of_many_attacks_has_one_pair_of_each(pairs: Examples) -> None:
    figure = contact_sheet(dict.fromkeys(NAMES, pairs))
    assert len(figure.axes) == 3 * 24
    assert len(boxes(figure)) == 72
    difference = np.asarray(figure.axes[5].images[0].get_array())  # of the second attack
    assert difference[0, 0, 0] == 128 + 80
    assert difference[15, 15, 0] == 128
    blocks = [block for block in figure.subfigs if block.get_suptitle()]
    assert [block.get_suptitle() for block in blocks] == list(NAMES)
    caption = blocks[0].get_supxlabel()
    assert caption.splitlines()[1] == "→ a photo of a red square"
    assert caption.splitlines()[0].endswith("…")
    assert max(figure.get_size_inches()) < 25
