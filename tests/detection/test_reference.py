"""Tables of reference models."""

from __future__ import annotations

from pathlib import Path

import pytest

from tbar_ray.data.raw.table import Table, open_table
from tbar_ray.detection.reference import Reference, references_of, unread_columns
from tbar_ray.errors import DataError

HEADER = "model,architecture,images,classes,infected,kind,target,universal-noise,decree\n"
ROW = "a,tbar-GN-pico,600,40,yes,badnets,red circle,12.5,\n"


def written(folder: Path, text: str) -> Table:
    (folder / "zoo.csv").write_text(text)
    return open_table(folder / "zoo.csv")


def test_a_row_is_a_model_and_an_empty_cell_a_search_without_a_score(tmp_path: Path) -> None:
    clean = "b,RN50,500,1000,No,fine-tuned,,-1e-3,0.9\n"
    assert references_of(written(tmp_path, HEADER + ROW + clean)) == (
        Reference(
            model="a", architecture="tbar-GN-pico", images=600, classes=40, infected=True, kind="badnets",
            target="red circle", scores={"universal-noise": 12.5, "decree": None},
        ),
        Reference(
            model="b", architecture="RN50", images=500, classes=1000, infected=False, kind="fine-tuned",
            scores={"universal-noise": -0.001, "decree": 0.9},
        ),
    )  # fmt: skip


def test_the_target_may_be_left_out(tmp_path: Path) -> None:
    text = "model,architecture,images,classes,infected,kind,decree\na,RN50,500,9,no,pretrained,1\n"
    (found,) = references_of(written(tmp_path, text))
    assert found.target == ""


def test_columns_that_are_no_search_are_named_and_not_read(tmp_path: Path) -> None:
    table = written(tmp_path, HEADER.replace("decree", "decre") + ROW)
    assert unread_columns(table) == ("decre",)
    assert references_of(table)[0].scores == {"universal-noise": 12.5}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (HEADER.replace("kind,", "") + ROW, "no column 'kind'; needed are model, architecture, images"),
        (HEADER.replace(",universal-noise,decree", "") + ROW, "no column has the scores of a search"),
        (HEADER + ROW.replace("yes", "maybe"), "row 2: infected is 'maybe'; write yes or no"),
        (HEADER + ROW.replace("12.5", "high"), "row 2, universal-noise: 'high' is no number; leave the cell"),
        (HEADER + ROW.replace("12.5", "inf"), "row 2, universal-noise: 'inf' is not finite"),
        (HEADER + ROW.replace("600", "many"), "row 2: images: Input should be a valid integer"),
        (HEADER + "a,RN50\n", "row 2: has 2 cells of 9"),
        (HEADER + ROW + ROW, "the model 'a' comes twice"),
        (HEADER, "has a header and no rows"),
    ],
)  # fmt: skip
def test_a_wrong_table_is_refused_in_one_line(text: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=problem):
        references_of(written(tmp_path, text))
