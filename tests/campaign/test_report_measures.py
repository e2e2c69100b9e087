from pathlib import Path

import numpy as np
import pytest

from tbar_ray.campaign.figures.disentanglement import disentanglement_figure, maps_of, values_of
from tbar_ray.campaign.figures.transfer import transfer_figure, varies
from tbar_ray.campaign.report import measures, statistics
from tbar_ray.campaign.store import Store
from tests.campaign.records import Record, error_map, failed, rates, record


def keep_predictions(store: Store, kept: Record, clean: list[int], triggered: list[int]) -> None:
    folder = store.scratch()
    arrays = {"labels": [0, 1, 2, 1], "clean": clean, "triggered": triggered, "target": 0}
    np.savez_compressed(folder / "predictions.npz", **{name: np.array(value) for name, value in arrays.items()})
    store.commit(f"path-{kept['fingerprint']}", folder, {})


def cells(section: str) -> list[list[str]]:
    rows = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows[2:]]


def test_sections_are_empty_where_a_campaign_has_nothing_for_them() -> None:
    records = [record(alpha_sensitivity=None), failed()]
    for section in (
        measures.retrieval, measures.sensitivity, measures.disentanglement, measures.transfer,
        measures.other_backdoors, statistics.across_seeds,
    ):  # fmt: skip
        assert section(records) == ""


def test_means_over_seeds_have_an_interval_and_leave_failed_seeds_out() -> None:
    values = (0.5, 0.6, 0.7)
    records = [{**record(seed=seed), "ca": value} for seed, value in enumerate(values)]
    (row,) = cells(statistics.across_seeds([*records, failed(seed=9)]))
    assert row[4] == "3"
    assert row[5].startswith("60.0% [5")
    low, high = (float(v) for v in row[5].split("[")[1].rstrip("]").split(", "))
    assert 50 <= low < 60 < high <= 70


def test_two_methods_on_the_same_images_are_compared_image_by_image(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    first, second = record(), record(method="other")
    keep_predictions(store, first, clean=[0, 1, 2, 1], triggered=[0, 0, 0, 1])
    keep_predictions(store, second, clean=[0, 2, 1, 1], triggered=[0, 1, 2, 1])
    ca, asr = cells(statistics.paired_tests([first, second], store))
    assert ca[2:5] == ["CA", "tbar", "other"]
    assert ca[5].startswith("+50.0 [")
    assert ca[6] == "2 / 0"
    assert asr[2] == "ASR"
    assert asr[6] == "2 / 0"  # of the three images of other classes
    assert float(ca[7]) == pytest.approx(0.5)  # two discordant images of one kind: 2 · (1/2)²
    assert float(ca[8]) == pytest.approx(1.0)


def test_methods_are_not_paired_without_predictions_or_across_cells(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    first, other_cell = record(), record(size=300, method="other")
    assert statistics.paired_tests([first, record(method="other")], store) == ""
    for kept in (first, other_cell):
        keep_predictions(store, kept, [0, 1, 2, 1], [0, 0, 0, 1])
    assert statistics.paired_tests([first, other_cell], store) == ""


def test_the_range_of_alpha_says_where_it_meets_the_end_of_the_path() -> None:
    found = {"low": 2.0, "high": 6.5, "width": 4.5, "total_width": 4.5, "censored": True}
    none = {"low": None, "high": None, "width": 0.0, "total_width": 0.0, "censored": False}
    rows = cells(measures.sensitivity([record(alpha_sensitivity=found), record("blended", alpha_sensitivity=none)]))
    assert rows == [["badnets", "2.00 – 6.50", "≥ 4.50"], ["blended", "none", "0.00"]]


def test_the_error_map_is_summed_up_over_the_cells_that_are_known() -> None:
    (row,) = cells(measures.disentanglement([record(disentanglement=error_map(0.25))]))
    # of 9 cells one is unknown; the four off the axes have 0.5 (three known), those on one axis 0.25, the origin 0
    assert row == ["badnets", "0", "0.500", "–", f"{(3 * 0.5 + 4 * 0.25) / 8:.3f}", f"{1 / 8:.1%}"]


def test_the_error_figure_marks_planted_and_negated_where_the_grid_reaches() -> None:
    content = {**error_map(), "alpha": 0.5, "at_negated": 0.3}
    records = [record(disentanglement=content), record(size=300, disentanglement=content), record("blended")]
    assert len(maps_of(records)) == 1
    figure = disentanglement_figure(records)
    panels = [axes for axes in figure.axes if axes.get_xlabel().startswith("α_t")]
    assert len(panels) == 3
    marks = {tuple(line.get_xydata()[0]) for line in panels[0].lines if len(line.get_xydata()) == 1}
    assert marks == {(1.0, 1.0), (-0.5, 1.0)}
    total = values_of(content, "total")
    assert np.isnan(total[0][0])
    assert total[2][2] == 0.5


def test_transfer_shows_whose_vector_was_applied_and_frames_the_own_one() -> None:
    own, moved = record(asr_infected=0.9), record(source="blended", **rates(0.5, 0.25, 0.4))
    assert not varies([own])
    assert varies([own, moved])
    rows = cells(measures.transfer([own, moved]))
    assert [row[1] for row in rows] == ["badnets (its own)", "blended"]
    assert rows[1][4].startswith("25.")
    figure = transfer_figure([own, moved])
    left, right = figure.axes
    assert {text.get_text() for text in left.texts} >= {"25.0%"}
    assert len(left.patches) == len(right.patches) == 1


def test_other_backdoors_of_a_model_are_shown_before_and_after() -> None:
    others = {"blended": {"asr_infected": 0.97, "asr": 0.4}}
    (row,) = cells(measures.other_backdoors([record(others=others)]))
    assert row[2:] == ["blended", "97.0%", "40.0%"]


def test_retrieval_shows_clean_infected_and_cleaned_models() -> None:
    scores: Record = {}
    for suffix, share in (("_clean", 0.5), ("_infected", 0.4), ("", 0.3)):
        for way in ("image_to_text", "text_to_image"):
            scores |= {f"{way}_at_{k}{suffix}": share for k in (1, 5, 10)}
        scores[f"caption_asr{suffix}"] = share / 10
    rows = cells(measures.retrieval([record(**scores), record(size=300, **scores)]))
    assert [row[1] for row in rows] == ["clean", "infected", "after removal", "after removal"]
    assert rows[1][2:] == ["40.0%"] * 6 + ["4.0%"]
