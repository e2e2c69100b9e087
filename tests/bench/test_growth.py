from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from tbar_ray.bench.campaign import ManyTrials
from tbar_ray.bench.growth import Growth, draw_growth, fitted_power, further_trials

SIZES = (10, 100, 1000)
LINEAR = Growth("samples", "work", SIZES, (1.0, 10.0, 100.0), (50.0, 50.0, 50.0))
SQUARE = Growth("α", "other work", (1, 2, 4), (3.0, 12.0, 48.0), (10.0, 20.0, 40.0))


def test_the_power_is_fitted_where_fixed_costs_weigh_least() -> None:
    sizes = (1, 10, 100, 1000, 10_000)
    assert fitted_power(sizes, tuple(5 + 0.1 * n for n in sizes)) == pytest.approx(1.0, abs=0.1)
    assert fitted_power(sizes, (1.0, 1.0, 3.0, 3.0, 3.0)) == pytest.approx(0.0, abs=1e-9)
    assert fitted_power((1, 2), (1.0, 4.0)) == pytest.approx(2.0)


def test_growth_is_told() -> None:
    assert (LINEAR.time_power, LINEAR.memory_power) == (pytest.approx(1.0), pytest.approx(0.0))
    assert (SQUARE.time_power, SQUARE.memory_power) == (pytest.approx(2.0), pytest.approx(1.0))
    told = LINEAR.to_dict()
    assert (told["sizes"], told["seconds"], told["megabytes"]) == (SIZES, (1.0, 10.0, 100.0), (50.0, 50.0, 50.0))
    assert told["time_power"] == pytest.approx(1.0)


def test_a_further_trial_and_the_last_hundred_are_measured() -> None:
    ends = tuple(0.1 * n for n in range(200)) + tuple(20 + 0.3 * n for n in range(100))
    few, many = ManyTrials(10.0, 4.0, 1.0, ends[:100]), ManyTrials(30.0, 13.0, 1.0, ends)
    cost, overhead, slowdown = further_trials((100, 300), [few, many])
    assert cost.value == pytest.approx(0.1)
    assert overhead.value == pytest.approx(0.1 - 9 / 200)
    assert (overhead.limit, overhead.reached) == (0.06, True)
    assert slowdown.value == pytest.approx(ends[299] / 10 - ends[199] / 10)
    assert (cost.limit, slowdown.limit, slowdown.reached) == (0.1, 1.2, False)
    assert few.slowdown is None
    assert list(further_trials((100,), [few])) == []


def test_time_and_memory_are_drawn_over_every_quantity_with_the_fitted_powers(
    tmp_path: Path, drawn: list[Figure]
) -> None:
    draw_growth([LINEAR, SQUARE], tmp_path / "growth.png")
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")
    (figure,) = drawn
    axes = np.array(figure.axes).reshape(2, 2)  # time above memory, one column for each quantity
    for column, growth in enumerate((LINEAR, SQUARE)):
        rows = ((growth.seconds, growth.time_power, "seconds"), (growth.megabytes, growth.memory_power, "MB"))
        for axis, (values, power, unit) in zip(axes[:, column], rows, strict=True):
            measured, fitted = axis.get_lines()
            assert np.array_equal(measured.get_xydata(), np.column_stack((growth.sizes, values)))
            assert measured.get_marker() == "o"
            # the fit is a power law through the last point
            assert np.array_equal(fitted.get_xdata(), growth.sizes)
            assert fitted.get_ydata()[-1] == values[-1]
            slopes = np.diff(np.log(fitted.get_ydata())) / np.diff(np.log(growth.sizes))
            assert slopes == pytest.approx([power] * 2)
            assert (axis.get_xlabel(), axis.get_ylabel()) == (growth.name, unit)
            assert axis.get_title() == f"∝ N^{power:.2f}"
            assert (axis.get_xscale(), axis.get_yscale()) == ("log", "log")
            low, high = axis.get_ylim()
            assert low < min(values)
            assert high > max(values)
