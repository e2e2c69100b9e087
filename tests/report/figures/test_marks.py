"""Marks of one look are one thing."""

from __future__ import annotations

from matplotlib.figure import Figure

from tbar_ray.report.figures.marks import Marks


def test_marks_of_one_look_are_one_line_in_the_order_of_looks() -> None:
    axes = Figure().subplots()
    marks = Marks(axes)
    marks.draw()
    assert list(axes.lines) == []
    for x, y, colour in ((1, 2, "red"), (5, 6, "blue"), (3, 4, "red")):
        marks.add(x, y, color=colour, marker="o")
    marks.draw()
    assert [(line.get_color(), line.get_xydata().tolist()) for line in axes.lines] == [
        ("red", [[1, 2], [3, 4]]),
        ("blue", [[5, 6]]),
    ]
    assert {line.get_linestyle() for line in axes.lines} == {"None"}
