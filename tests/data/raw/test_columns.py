from __future__ import annotations

from pathlib import Path

import pytest

from tbar_ray.data.raw.columns import Columns, field
from tbar_ray.data.raw.table import Table
from tbar_ray.errors import DataError

TABLE = Table(Path("styles.csv"), ("id", "title", "{odd}"), (("7", " A hat ", "x"),), "")


def test_a_column_or_a_text_with_columns() -> None:
    row = TABLE.rows[0]
    assert field("caption", "title", TABLE).of(row) == "A hat"
    assert field("image", "images/{id}.jpg", TABLE).of(row) == "images/7.jpg"
    assert field("caption", "{id}: {title} {{}}", TABLE).of(row) == "7:  A hat  {}"
    assert field("caption", "{odd}", TABLE).of(row) == "x"
    assert field("image", "images/{id}.jpg", TABLE).of((" ", "A hat", "x")) == ""
    assert field("caption", "{id}: {title}", TABLE).of(("", "A hat", "x")) == ": A hat"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("filepath", "caption: styles.csv has no column 'filepath'; it has: id, title, {odd}"),
        ("{nme}.jpg", "caption: styles.csv has no column 'nme'; it has: id, title, {odd}"),
        ("{id", "caption: unbalanced braces in '{id'"),
    ],
)
def test_a_column_that_is_not_there_names_those_that_are(written: str, said: str) -> None:
    with pytest.raises(DataError) as caught:
        field("caption", written, TABLE)
    assert str(caught.value) == said


def test_two_columns_that_are_one() -> None:
    with pytest.raises(DataError, match="image and caption are the same column, 'id'"):
        Columns("id", "id").check()
    with pytest.raises(DataError, match="caption and label are the same column"):
        Columns("id", "title", "title").check()
    Columns("id", None, None).check()


def test_several_captions_may_have_the_class_among_them_but_none_twice() -> None:
    Columns("id", "title", "type", further_captions=("type",)).check()
    with pytest.raises(DataError, match="caption: 'title' is given twice"):
        Columns("id", "title", "type", further_captions=("title",)).check()
    with pytest.raises(DataError, match="image and caption are the same column, 'id'"):
        Columns("id", "title", "type", further_captions=("id",)).check()
