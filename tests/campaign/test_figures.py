from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.figure import Figure

from tbar_ray.campaign.figures import Examples, ablation_figure, alpha_figure, contact_sheet, tradeoff_figure
from tbar_ray.campaign.figures.cells import curves_of, fraction_levels, one_per_cell, size_levels
from tests.campaign.records import Record, failed, grid, infeasible, record

Draw = Callable[[list[Record]], Figure]
ALL = pytest.mark.parametrize("draw", [alpha_figure, tradeoff_figure, ablation_figure])


def text_of(figure: Figure) -> str:
    parts = [figure.get_suptitle(), figure.get_supxlabel(), *(t.get_text() for t in figure.texts)]
    parts += [t.get_text() for legend in figure.legends for t in legend.get_texts()]
    parts += [axes.get_title(loc="left") for axes in figure.axes]
    return " ".join(" ".join(parts).split())


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
    assert rendered(figure).startswith(b"\x89PNG")


@ALL
@pytest.mark.parametrize("records", [[], [failed()]], ids=["none", "failed"])
def test_nothing_to_show_is_a_sentence(draw: Draw, records: list[Record]) -> None:
    figure = draw(records)
    assert "No trial has" in text_of(figure)
    assert not figure.axes


@ALL
def test_one_record_several_methods_seeds_and_gaps(draw: Draw) -> None:
    rendered(draw([record(alphas=(0.5,))]))
    assert "badnets · finetune" in text_of(draw([record(), record(method="finetune"), record(seed=1)]))
    text = text_of(draw([record(), infeasible(size=20), failed(fraction=0.5)]))
    assert "Of 3 trials, 1 failed and 1 infeasible" in text


@ALL
def test_same_records_same_bytes(draw: Draw) -> None:
    assert rendered(draw(grid())) == rendered(draw(grid()))


def test_no_global_state() -> None:
    import matplotlib.pyplot as plt

    alpha_figure(grid())
    assert plt.get_fignums() == []


def test_gaps_are_marked_in_the_ablation() -> None:
    figure = ablation_figure([record(), infeasible(size=20), failed(fraction=0.5)])
    marks = [line.get_marker() for line in figure.axes[0].lines]
    assert "v" in marks
    assert "x" in marks
    assert "infeasible, no result" in text_of(figure)


def test_legend_stays_short_with_many_cells() -> None:
    records = [record(size=10 + 17 * i, fraction=i / 61, alphas=(i / 60,)) for i in range(60)]
    assert len(alpha_figure(records).legends[0].get_texts()) < 18
    assert len(size_levels(records)) == 6
    assert len(fraction_levels(records)) == 4


def test_trials_of_one_alpha_share_a_curve_and_one_is_selected() -> None:
    records = [record(alphas=(alpha,)) for alpha in (0.9, 0.1, 0.5)]
    (curve,) = curves_of(records, ("asr",), mean_of_seeds=False)
    assert curve.alphas == [0.1, 0.5, 0.9]
    (best,) = one_per_cell(records)
    assert best["alpha"] == 0.9
    assert curve.selected == [0.9]


def test_an_infeasible_trial_of_low_asr_is_not_preferred() -> None:
    bad = record(alphas=(0.9,), status="infeasible")
    good = record(alphas=(0.1,))
    assert one_per_cell([bad, good]) == [good]


def test_seeds_are_averaged() -> None:
    (curve,) = curves_of([record(seed=0), record(seed=1)], ("ca",), mean_of_seeds=True)
    ends = [record(seed=s)["path"][5]["ca"] for s in (0, 1)]
    assert curve.at(0.5, "ca") == pytest.approx(sum(ends) / 2)


def test_contact_sheet() -> None:
    images = np.full((3, 3, 16, 16), 100, np.uint8)
    stamped = images.copy()
    stamped[:, :, :4, :4] = 110
    captions = np.array([["a blue circle for $5 and $6 " * 8, "a photo of a red square"]] * 3)
    figure = contact_sheet({"badnets": Examples(images, stamped, captions)})
    rendered(figure)
    difference = np.asarray(figure.axes[6].images[0].get_array())
    assert difference[0, 0, 0] == 128 + 80
    assert difference[15, 15, 0] == 128
    label = figure.axes[6].get_xlabel()
    assert "…" in label
    assert "a photo of a red square" in label
    assert "No infected model" in text_of(contact_sheet({}))
