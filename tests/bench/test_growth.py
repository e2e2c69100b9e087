from pathlib import Path

import pytest

from tbar_ray.bench.growth import Growth, draw_growth, fitted_power


def test_the_power_is_fitted_where_fixed_costs_weigh_least() -> None:
    sizes = (1, 10, 100, 1000, 10_000)
    assert fitted_power(sizes, tuple(5 + 0.1 * n for n in sizes)) == pytest.approx(1.0, abs=0.1)
    assert fitted_power(sizes, (1.0, 1.0, 3.0, 3.0, 3.0)) == pytest.approx(0.0, abs=1e-9)
    assert fitted_power((1, 2), (1.0, 4.0)) == pytest.approx(2.0)


def test_growth_is_drawn_and_told(tmp_path: Path) -> None:
    growth = Growth("samples", "work", (10, 100, 1000), (1.0, 10.0, 100.0), (50.0, 50.0, 50.0))
    assert (growth.time_power, growth.memory_power) == (pytest.approx(1.0), pytest.approx(0.0))
    assert growth.to_dict()["sizes"] == (10, 100, 1000)
    draw_growth([growth, growth], tmp_path / "growth.png")
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")
