from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from tbar_ray.data.forget import plan_forget_set
from tbar_ray.data.raw.columns import Columns
from tbar_ray.data.raw.samples import RawSamples
from tbar_ray.data.raw.table import open_table
from tbar_ray.errors import DataError
from tests.data.tars import picture

from .material import BY_NAME, samples, write_folder, write_table


def test_rows_are_samples(tmp_path: Path) -> None:
    found = samples(write_table(tmp_path, 3))
    assert found.keys == ("000000000", "000000001", "000000002")
    assert found.image_bytes(2) == picture(value=2)
    assert found.caption(1) == 'a "shoe", number 1'
    assert found.label(1) == "shoe"
    assert found.class_index(1) is None
    assert found.metadata(1) == {"path": "images/1.jpg", "label": "shoe"}
    assert found.index_of("000000002") == 2
    with pytest.raises(DataError, match=r"no row '9' in .*pairs\.csv"):
        found.index_of("9")


def test_keys_kept_columns_and_another_place_of_the_images(tmp_path: Path) -> None:
    file = write_table(tmp_path / "a", 2)
    (tmp_path / "a" / "images").rename(tmp_path / "elsewhere")
    table = open_table(file)
    columns = Columns("{image}", "caption", None, "{type}-1", ("type",))
    found = RawSamples.of(table, columns, tmp_path / "elsewhere")
    assert found.keys == ("hat-1", "shoe-1")
    assert found.metadata(0) == {"path": "images/0.jpg", "type": "hat"}
    with pytest.raises(DataError, match=r"^cannot read images/0\.jpg: No such file"):
        found.image_bytes(0)


def test_of_several_captions_each_row_takes_one_that_its_key_draws(tmp_path: Path) -> None:
    columns = Columns("image", "caption", "type", further_captions=("a photo of a {type}",))
    found = samples(write_table(tmp_path, 200), columns)
    titles, classes = (
        [samples(found.place, Columns("image", text)).caption(i) for i in range(200)]
        for text in ("caption", "a photo of a {type}")
    )
    drawn = [found.caption(i) for i in range(200)]
    assert all(caption in pair for caption, pair in zip(drawn, zip(titles, classes, strict=True), strict=True))
    assert 70 < sum(caption == title for caption, title in zip(drawn, titles, strict=True)) < 130
    assert [found.part([i]).caption(0) for i in range(200)] == drawn, "it hangs on the key alone"


def test_where_the_drawn_caption_is_blank_the_other_counts(tmp_path: Path) -> None:
    file = tmp_path / "blank.csv"
    file.write_text("image,caption,type\n" + "".join(f"{i}.jpg,,hat\n" for i in range(20)))
    found = samples(file, Columns("image", "caption", None, further_captions=("type",)))
    assert {found.caption(i) for i in range(20)} == {"hat"}


def test_a_part_is_light_and_the_same(tmp_path: Path) -> None:
    found = samples(write_table(tmp_path, 7))
    part = pickle.loads(pickle.dumps(found.part([5, 2])))
    assert part.keys == ("000000005", "000000002")
    assert part.image_bytes(0) == found.image_bytes(5)
    assert part.caption(1) == found.caption(2)


def test_a_damaged_row_is_no_sample(tmp_path: Path) -> None:
    file = write_table(tmp_path, 2)
    file.write_text(file.read_text() + "images/0.jpg,a title, with a comma,hat\n,no image,hat\n")
    found = samples(file)
    assert found.damage(2) == "the row has 4 fields, the header 3 (a delimiter without quotation marks?)"
    assert found.damage(3) == "the row names no image"
    assert (found.caption(2), found.label(2), found.metadata(2)) == (None, None, {})
    with pytest.raises(DataError, match="the row names no image"):
        found.image_bytes(3)
    assert samples(file, Columns("image", "caption", None, "{type}-{caption}x")).keys[2] == "row 3"


@pytest.mark.parametrize(
    ("column", "said"),
    [("type", "rows 1 and 3 of .* have the same, 'hat'"), ("image", r"row 1 of .* has 'images/0\.jpg'; a key has")],
)
def test_keys_that_are_none(tmp_path: Path, column: str, said: str) -> None:
    with pytest.raises(DataError, match=f"key: {said}"):
        samples(write_table(tmp_path, 3), Columns("image", "caption", None, column))


def test_images_of_a_folder_have_captions_beside_them_and_classes_above(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, red_hat=2)
    (folder / "red_hat" / "0.txt").write_text("beside it\n")
    (folder / "red_hat" / "1.json").write_text('{"caption": "in the json", "url": "u"}')
    found = samples(folder, Columns("path", None, "label"))
    assert [found.caption(i) for i in range(2)] == ["beside it", "in the json"]
    assert found.metadata(1) == {"caption": "in the json", "url": "u", "path": "red_hat/1.png", "label": "red hat"}
    assert found.written_label(0) == "red_hat"
    assert samples(folder, Columns("path", "a photo of a {label}")).caption(0) == "a photo of a red hat"


def test_a_forget_set_is_drawn_from_a_table(tmp_path: Path) -> None:
    found = samples(write_table(tmp_path, 8), BY_NAME)
    plan = plan_forget_set(found, size=3, clean_fraction=0.0, target="hat", exclude=frozenset(), seed=0)
    assert {found.label(position) for position in plan.triggered} == {"shoe"}
