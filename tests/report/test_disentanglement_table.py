from __future__ import annotations

from tbar_ray.report.disentanglement_table import ANGLES, disentanglement
from tests.records.records import error_map, failed, geometry, grid, record
from tests.report.reading import rows_of


def test_the_error_map_is_summed_up_over_the_cells_that_are_known() -> None:
    maps = error_map(0.25).model_copy(update={"at_negated": 0.125, "alpha": 0.5})
    (row,) = rows_of(disentanglement([record(disentanglement=maps), record(size=300, disentanglement=maps)]))
    assert row["ξ(1, 1)"] == "0.500"
    assert row["ξ(1, −α)"] == "0.125"
    assert row["α"] == "0.5"
    # of 9 cells one is unknown; the four off the axes have 0.5 (three known), those on one axis 0.25, the origin 0
    assert row["mean ξ"] == f"{(3 * 0.5 + 4 * 0.25) / 8:.3f}"
    assert row["cells with ξ < 0.1"] == f"{1 / 8:.1%}"
    assert row["cells known"] == "8 of 9"


def test_a_negated_point_outside_the_grid_is_a_dash() -> None:
    (row,) = rows_of(disentanglement([record(disentanglement=error_map())]))
    assert row["ξ(1, −α)"] == "–"
    assert row["α"] == "2"


def test_no_section_where_a_campaign_has_nothing_for_it() -> None:
    assert disentanglement([]) == disentanglement([*grid(), failed(size=3)]) == ""


def test_the_triggers_geometry_and_the_point_at_equal_length_have_columns() -> None:
    maps = error_map(at_equal_length=0.3125, alpha_equal_length=-0.25, geometry=geometry())
    of_both = disentanglement([record(disentanglement=maps), record("blended", disentanglement=error_map())])
    told, untold = rows_of(of_both)
    assert told["ξ at equal length"] == "0.312"
    assert [told[head] for head in ANGLES] == ["0.400", "0.031", "-0.200", "0.10, -0.20, –, -0.50"]
    assert [untold[head] for head in ANGLES] == ["–"] * 4
    assert "cos(τ_t, τ_y)" in of_both.partition("|")[0], "columns are explained"


def test_maps_of_earlier_records_have_no_columns_of_geometry() -> None:
    found = disentanglement([record(disentanglement=error_map())])
    assert not any(head in found for head in ANGLES)
    (row,) = rows_of(found)
    assert row["ξ at equal length"] == "–"
