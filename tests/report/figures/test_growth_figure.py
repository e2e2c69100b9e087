"""CA kept against samples: what is drawn where, and what is said where there is too little."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.axes import Axes

from tbar_ray.records.record import TrialRecord
from tbar_ray.report.figures import growth_figure
from tbar_ray.report.figures.growth_lines import PUBLISHED, PUBLISHED_SAMPLES
from tests.records.records import GROWTH, failed, grown, record
from tests.report.figures.test_figures import boxes, legend_of, rendered, text_of

WIDTH = "model.architecture"


def share(samples: float, half: float = 2e5, slope: float = 0.7) -> float:
    return float(1 / (1 + (half / samples) ** slope))


def campaign(seeds: int = 3, sizes: tuple[int, ...] = GROWTH) -> list[TrialRecord]:
    return [
        grown(attack, seed, n, share(n, half) + 0.02 * (seed - 1), axes={WIDTH: width})
        for attack in ("badnets", "blended")
        for width, half in (("pico", 4e5), ("tiny", 1e5))
        for n in sizes
        for seed in range(seeds)
    ]


def drawn(axes: Axes, marker: str) -> list[tuple[float, float]]:
    """Return the places of single marks."""
    return [
        (float(np.ravel(line.get_xdata())[0]), float(np.ravel(line.get_ydata())[0]))
        for line in axes.get_lines()
        if line.get_marker() == marker and len(np.ravel(line.get_xdata())) == 1
    ]


def curves(axes: Axes) -> list[tuple[np.ndarray, np.ndarray]]:
    found = [(np.asarray(line.get_xdata()), np.asarray(line.get_ydata())) for line in axes.get_lines()]
    return [(x, y) for x, y in found if len(x) > 10]


def test_a_panel_an_attack_and_in_it_the_means_on_the_law_that_made_them() -> None:
    figure = growth_figure(campaign(), 0.02)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["badnets", "blended"]
    for axes in figure.axes:
        means = [place for place in drawn(axes, "o") if place[0] < 1e7]
        assert [y for _, y in means] == pytest.approx([share(n, 4e5) for n in GROWTH], abs=2e-3)
        assert [x for x, _ in means] == pytest.approx(GROWTH, rel=0.1)
        assert axes.get_xscale() == "log"
        within, beyond = curves(axes)[:2]
        assert (within[0][0], within[0][-1]) == pytest.approx((GROWTH[0], GROWTH[-1]))
        assert (beyond[0][0], beyond[0][-1]) == pytest.approx((GROWTH[-1], PUBLISHED_SAMPLES))
        assert within[1] == pytest.approx([share(n, 4e5) for n in within[0]], abs=0.01)
    rendered(figure)


def test_the_published_figure_stands_at_its_samples_and_is_marked_as_extrapolated() -> None:
    figure = growth_figure(campaign(), 0.02)
    for axes in figure.axes:
        ((x, y),) = drawn(axes, "*")
        assert x == 400e6 * 32
        assert min(PUBLISHED) <= y <= max(PUBLISHED)
        assert "extrapolated" in [text.get_text() for text in axes.texts]
        assert axes.get_xlim()[1] > x
        hollow = [place for place in drawn(axes, "o") if place[0] > 1e9]
        assert [y for _, y in hollow] == pytest.approx([share(PUBLISHED_SAMPLES, 4e5)], abs=0.01)
    text = text_of(figure)
    assert "ViT-B/32 (2510.14845)" in text
    assert "it is an assumption" in text
    assert "ASR is at most 2%" in text
    assert figure.axes[0].get_ylabel() == "CA kept at ASR ≤ 2%"


def test_each_width_has_one_look_in_all_panels_and_an_entry() -> None:
    figure = growth_figure(campaign(), 0.02)
    handles, texts = legend_of(figure)
    by_label = {text.get_text(): handle for text, handle in zip(texts, handles, strict=True)}
    assert {"architecture", "pico", "tiny"} <= by_label.keys()
    assert by_label["pico"].get_color() != by_label["tiny"].get_color()
    for axes in figure.axes:
        colours = {line.get_color() for line in axes.get_lines() if len(np.ravel(line.get_xdata())) > 10}
        assert colours == {by_label["pico"].get_color(), by_label["tiny"].get_color()}


def test_too_few_sizes_are_joined_and_said_and_nothing_is_extrapolated() -> None:
    figure = growth_figure(campaign(sizes=GROWTH[:3]), 0.02)
    text = text_of(figure)
    assert "No law is fitted to 4 of 4 lines: CA kept must be known at 4 sizes at least." in text
    assert "ViT-B/32" not in text
    for axes in figure.axes:
        assert drawn(axes, "*") == []
        assert axes.get_xlim()[1] < 10 * GROWTH[2]
        assert [len(line.get_xdata()) for line in axes.get_lines() if line.get_linestyle() != "None"].count(3) == 2  # type: ignore[arg-type]
    one = [r for r in campaign(sizes=GROWTH[:3]) if r.attack == "badnets" and r.setting(WIDTH) == "pico"]
    assert "No law is fitted to badnets (3 sizes)" in text_of(growth_figure(one, 0.02))


def test_a_seed_without_a_result_is_marked_and_named() -> None:
    more = [
        grown("badnets", 3, GROWTH[0], 0.3, asr=0.4, axes={WIDTH: "pico"}),
        failed("badnets", seed=4, axes={"data.synthetic.samples": 5000, WIDTH: "tiny"}, pretraining_samples=GROWTH[0]),
    ]
    figure = growth_figure([*campaign(), *more], 0.02)
    first, second = figure.axes
    assert (len(drawn(first, "v")), len(drawn(first, "x"))) == (1, 1)
    assert not drawn(second, "v")
    text = text_of(figure)
    assert "a seed not removed" in text
    assert "a seed failed" in text
    assert "1 failed" in text
    assert "a seed failed" not in text_of(growth_figure(campaign(), 0.02))


def test_a_campaign_of_one_pretraining_is_a_sentence() -> None:
    figure = growth_figure([record(), grown()], 0.02)
    assert not figure.axes
    assert "No two trials" in text_of(figure)


def test_the_same_records_are_the_same_picture_and_panels_stay_apart() -> None:
    records = [r.model_copy(update={"settings": {**r.settings, "attack": a}}) for a in "abcd" for r in campaign(1)[:10]]
    figure = growth_figure(records, 0.02)
    found = boxes(figure)
    assert len(found) == 4
    for parts in found:
        for part in parts:
            assert 0 <= part.x0 < part.x1 <= figure.bbox.width
            assert 0 <= part.y0 < part.y1 <= figure.bbox.height
    assert rendered(figure) == rendered(growth_figure(records, 0.02))
