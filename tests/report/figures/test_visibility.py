from __future__ import annotations

from matplotlib.colors import to_hex

from tbar_ray.records.record import TrialRecord
from tbar_ray.report.figures import style
from tbar_ray.report.figures.visibility import ROOM, visibility_figure
from tests.records.records import NAMES, failed, gated, record, seen
from tests.report.figures.test_figures import legend_of, rendered, text_of


def attacks() -> list[TrialRecord]:
    weak = failed("wanet", visibility=seen(31.0), gate=gated(0.2))
    return [record(visibility=seen(25.0), gate=gated(0.97)), record("blended", visibility=seen(22.0)), weak]


def test_a_point_for_each_infected_model_hollow_where_the_attack_did_not_take() -> None:
    figure = visibility_figure([*attacks(), record(size=300, visibility=seen(25.0))])
    (axes,) = figure.axes
    points = {line.get_xdata()[0]: line for line in axes.lines if line.get_marker() not in ("None", "_", "|")}
    assert sorted(points) == [22.0, 25.0, 31.0]
    assert points[25.0].get_ydata()[0] == record().value("asr", "infected")
    fills = [to_hex(points[at].get_markerfacecolor()) for at in (22.0, 25.0, 31.0)]
    names = ["badnets", "blended", "wanet"]
    assert fills == [
        style.attack_colour("blended", names).lower(), style.attack_colour("badnets", names).lower(), "#ffffff"
    ]  # fmt: skip
    text = text_of(figure)
    assert "3 infected models, test split, n = 1,180 images" in text
    assert "256 images" in text
    assert [t.get_text() for t in legend_of(figure)[1]] == [*names, "hollow: did not take", "ASR that counts as taken"]
    assert rendered(figure).startswith(b"\x89PNG")


def test_infinite_psnr_stands_right_of_all_others() -> None:
    figure = visibility_figure([*attacks(), record("sig", visibility=seen(None))])
    (axes,) = figure.axes
    figure.canvas.draw()
    assert axes.get_xticks()[-1] == 31.0 + ROOM
    assert axes.get_xticklabels()[-1].get_text() == "∞"
    rendered(visibility_figure([record("sig", visibility=seen(None))]))


def test_many_attacks_and_none() -> None:
    rendered(visibility_figure([record(name, visibility=seen(20 + i)) for i, name in enumerate(NAMES)]))
    assert "No infected model" in text_of(visibility_figure([record()]))
