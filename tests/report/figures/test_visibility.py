from __future__ import annotations

from matplotlib.colors import to_hex
from matplotlib.text import Text

from tbar_ray.records.record import TrialRecord
from tbar_ray.report.figures import style
from tbar_ray.report.figures.visibility import ROOM, visibility_figure
from tests.records.records import NAMES, failed, gated, record, seen
from tests.report.figures.test_figures import legend_of, overlap, rendered, text_of


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
    assert fills == [style.ATTACKS[0].lower(), style.ATTACKS[0].lower(), "#ffffff"]
    text = text_of(figure)
    assert "3 infected models, test split, n = 1,180 images" in text
    assert "256 images" in text
    assert [t.get_text() for t in legend_of(figure)[1]] == ["hollow: did not take", "ASR that counts as taken"]
    assert sorted(label.get_text() for label in axes.texts) == names
    assert rendered(figure).startswith(b"\x89PNG")


def test_infinite_psnr_stands_right_of_all_others() -> None:
    figure = visibility_figure([*attacks(), record("sig", visibility=seen(None))])
    (axes,) = figure.axes
    figure.canvas.draw()
    assert axes.get_xticks()[-1] == 31.0 + ROOM
    assert axes.get_xticklabels()[-1].get_text() == "∞"
    rendered(visibility_figure([record("sig", visibility=seen(None))]))


def test_names_of_many_attacks_stand_clear_of_one_another_and_inside_the_panel() -> None:
    figure = visibility_figure([record(name, visibility=seen(20 + i / 2)) for i, name in enumerate(NAMES)])
    figure.draw_without_rendering()
    (axes,) = figure.axes
    boxes = [Text.get_window_extent(text) for text in axes.texts]  # without the lines to their marks
    assert len(boxes) == len(NAMES)
    for place, box in enumerate(boxes):
        assert all(overlap(box, other) < 1 for other in boxes[place + 1 :])
        assert axes.bbox.x0 - 1 <= box.x0 < box.x1 <= axes.bbox.x1 + 1
    marks = [axes.transData.transform(text.xy) for text in axes.texts]
    for place, box in enumerate(boxes):  # a name that is as near to another mark would seem to be that one's
        others = [mark for number, mark in enumerate(marks) if number != place]
        assert not any(box.padded(4).contains(x, y) for x, y in others)


def test_several_models_of_an_attack_share_a_look_of_the_key() -> None:
    models = [record(name, size=20 + n, poisoning_rate=0.01 * n, visibility=seen(20.0 + n))
              for name in ("badnets", "blended") for n in (1, 2)]  # fmt: skip
    figure = visibility_figure(models)
    names = ["badnets", "blended"]
    assert [text.get_text() for text in legend_of(figure)[1]][:2] == names
    assert not figure.axes[0].texts
    colours = {to_hex(line.get_color()) for line in figure.axes[0].lines if line.get_marker() == "o"}
    assert colours == {style.attack_colour(name, names).lower() for name in names}


def test_without_models_there_is_a_sentence() -> None:
    assert "No infected model" in text_of(visibility_figure([record()]))
