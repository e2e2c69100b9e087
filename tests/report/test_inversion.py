from __future__ import annotations

from tbar_ray.records.inversion import InversionRecord, LikenessRecord
from tbar_ray.report.fields import fields_of, result_of
from tbar_ray.report.inversion import inversion
from tests.records.records import failed, grid, record
from tests.report.reading import rows_of

FOUND = InversionRecord(
    inversion="decree", score=2.41, target="red circle", named=True, target_found=True, shift=0.97,
    likeness=LikenessRecord(iou=0.5, distance=0.061, images=256), seconds=12.0,
)  # fmt: skip
NOTHING = InversionRecord(inversion="decree", score=None, target=None, named=False, target_found=False, seconds=3.0)


def test_told_and_searched_rows_stand_side_by_side() -> None:
    made = [
        record(axes={"inversion": None}),
        record(axes={"inversion": "decree"}, inversion=FOUND),
        failed("sig", axes={"inversion": "decree"}, inversion=NOTHING),
    ]
    told, searched, nothing = rows_of(inversion(made))
    assert told["found by"] == "*told*"
    assert searched["found by"] == "decree"
    assert searched["score"] == "2.4"
    assert searched["target named"] == "red circle ✓"
    assert (searched["IoU"], searched["distance"]) == ("0.50", "0.061")
    assert (nothing["target named"], nothing["IoU"], nothing["ASR"]) == ("none", "–", "failed")


def test_columns_of_a_campaign_with_a_search() -> None:
    made = [record(axes={"inversion": "decree"}, inversion=FOUND)]
    row = result_of(made[0], fields_of(made))
    assert (row["inversion_score"], row["inversion_target_found"], row["inversion_iou"]) == (2.41, True, 0.5)
    assert row["inversion"] == "decree"  # the axis keeps its column
    assert "inversion_score" not in fields_of(grid())


def test_no_section_without_a_search() -> None:
    assert inversion(grid()) == inversion([]) == ""
