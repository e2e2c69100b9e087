from __future__ import annotations

from tbar_ray.report.figures import methods_figure
from tests.records.records import failed, record
from tests.report.figures.test_figures import legend_of, text_of


def test_every_method_has_its_path_and_its_test_result() -> None:
    records = [record(method="tbar"), record(method="finetune", size=300), failed()]
    figure = methods_figure(records)
    (axes,) = figure.axes
    handles, texts = legend_of(figure)
    colours = {text.get_text(): handle.get_color() for handle, text in zip(handles, texts, strict=True)}
    for made in records[:2]:
        own = [line for line in axes.lines if line.get_color() == colours[made.method]]
        assert [[point.asr, point.ca] for point in made.path] in [line.get_xydata().tolist() for line in own]
        assert [[made.value("asr"), made.value("ca")]] in [line.get_xydata().tolist() for line in own]
    assert "Of 3 trials, 1 failed" in text_of(figure)


def test_points_that_differ_in_an_axis_are_told_in_the_note() -> None:
    records = [record(axes={"tbar.learning_rate": rate}) for rate in (1e-5, 1e-4)]
    assert "Points of one look differ in: learning rate." in text_of(methods_figure(records))
    assert "Points of one look" not in text_of(methods_figure([record(), record(seed=1)]))
