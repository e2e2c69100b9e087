from __future__ import annotations

import pytest

from tbar_ray.report.growth_table import growth
from tests.records.records import GROWTH, error_map, failed, geometry, grown, record
from tests.report.reading import rows_of

WIDTH = "model.architecture"


def share(samples: float) -> float:
    return float(1 / (1 + (2e5 / samples) ** 0.7))


def test_a_row_a_cell_has_means_over_seeds_with_their_intervals() -> None:
    maps = [error_map(xi, at_equal_length=0.25, geometry=geometry(0.2 + xi)) for xi in (0.1, 0.2)]
    records = [
        grown(seed=seed, samples=n, kept=0.5 + 0.1 * seed, disentanglement=maps[seed])
        for n in GROWTH[:2]
        for seed in (0, 1)
    ]
    records.append(failed(seed=2, axes={"data.synthetic.samples": 5000}, pretraining_samples=40_000))
    first, second = rows_of(growth(records, 0.02))
    assert (first["samples"], second["samples"]) == ("40,000", "120,000")
    assert (first["removed"], first["failed"], second["failed"]) == ("2 of 2", "1", "0")
    assert first["CA kept"].startswith("55.0% [50.0, 6")
    assert first["PA"].startswith("50.0%")
    assert first["ξ(1, 1)"] == "0.300 [0.200, 0.400]"
    assert first["ξ at equal length"] == "0.250 [0.250, 0.250]"
    assert first["cos(τ_t, τ_y)"] == "0.350 [0.300, 0.400]"
    assert first["gradient overlap"] == "-0.200 [-0.200, -0.200]"
    assert "ξ(1, −α)" not in first, "no map reaches it"


def test_too_few_sizes_say_so_instead_of_a_law() -> None:
    found = growth([grown(samples=n) for n in GROWTH[:3]], 0.02)
    assert found.endswith("No law is fitted to 1 of 1 line: CA kept is known at fewer than 4 numbers of samples.")
    assert "ViT-B/32" not in found


def test_the_law_stands_below_with_what_it_says_of_enough_and_of_400_million_pairs() -> None:
    records = [grown(seed=s, samples=n, kept=share(n), axes={WIDTH: w}) for n in GROWTH for s in (0, 1) for w in "ab"]
    cells, told, laws = growth(records, 0.02).rsplit("\n\n", 2)
    assert "2510.14845" in told
    assert "beyond the sizes measured" in told
    first, second = rows_of(laws)
    assert (first["line"], second["line"]) == ("badnets, a", "badnets, b")
    assert float(first["slope"]) == pytest.approx(0.7, abs=0.02)
    needed = float(first["samples for 95% kept"].partition(" ")[0])
    assert needed == pytest.approx(2e5 * 19 ** (1 / 0.7), rel=0.1)
    (extrapolated,) = (head for head in first if "extrapolated" in head)
    assert "12,800,000,000" in extrapolated
    assert first[extrapolated].startswith("100.0%")
    assert [row["architecture"] for row in rows_of(cells)][:2] == ["a", "a"]


def test_a_share_that_falls_with_pretraining_never_suffices() -> None:
    records = [grown(samples=n, kept=1 - share(n)) for n in GROWTH]
    (law,) = rows_of(growth(records, 0.02).rsplit("\n\n", 1)[1])
    assert law["samples for 95% kept"] == "∞ [∞, ∞]"
    assert float(law["slope"]) < 0


def test_no_section_without_pretraining() -> None:
    assert growth([], 0.02) == growth([record(), record(size=20)], 0.02) == ""
