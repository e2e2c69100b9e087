"""A folder of images as samples."""

from __future__ import annotations

from pathlib import Path

import pytest

from tbar_ray.data.folder import FolderSamples, class_of_subfolder
from tbar_ray.data.forget import plan_forget_set
from tbar_ray.errors import DataError
from tests.data.tars import picture


def write(folder: Path, *names: str) -> FolderSamples:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(picture())
    return FolderSamples(folder)


def test_images_are_found_in_order_with_their_keys(tmp_path: Path) -> None:
    samples = write(tmp_path, "b/2.PNG", "a/1.jpg", "0.webp", ".hidden/3.jpg", "a/.4.jpg")
    (tmp_path / "notes.md").write_text("no image")
    assert samples.keys == ("0.webp", "a/1.jpg", "b/2.PNG")
    assert [samples.index_of(key) for key in samples.keys] == [0, 1, 2]
    assert samples.image_bytes(1) == picture()
    with pytest.raises(DataError, match="no image 'c'"):
        samples.index_of("c")


def test_captions_and_labels_lie_beside_the_images(tmp_path: Path) -> None:
    samples = write(tmp_path, "red_circle/1.jpg", "red_circle/2.jpg", "3.jpg")
    (tmp_path / "red_circle" / "1.txt").write_text(" a caption \n")
    (tmp_path / "red_circle" / "2.json").write_text('{"caption": "another", "label": "blue"}')
    assert [samples.caption(i) for i in range(3)] == [None, "a caption", "another"]
    assert [samples.label(i) for i in range(3)] == [None, "red_circle", "blue"]
    assert samples.class_index(1) is None
    named = samples.of_classes(("red circle", "blue"))
    assert [named.label(i) for i in range(3)] == [None, "red circle", "blue"]
    assert samples.label(1) == "red_circle"
    (tmp_path / "3.json").write_text("[]")
    with pytest.raises(DataError, match=r"3\.json is not a JSON object"):
        samples.metadata(0)


def test_a_class_may_itself_have_an_underscore() -> None:
    assert class_of_subfolder("red_circle", ("red_circle", "red circle")) == "red_circle"
    assert class_of_subfolder("red_circle", ("red circle",)) == "red circle"
    assert class_of_subfolder("red-circle", ("red circle",)) is None


def test_images_of_the_target_are_not_stamped_and_damaged_ones_not_chosen(tmp_path: Path) -> None:
    samples = write(tmp_path, "red/1.jpg", "red/2.jpg", "blue/3.jpg", "blue/4.jpg", "5.jpg")
    (tmp_path / "5.jpg").write_bytes(b"damaged")
    plan = plan_forget_set(samples, size=2, clean_fraction=0.0, target="red", exclude=frozenset(), seed=0)
    assert sorted(samples.keys[p] for p in plan.triggered) == ["blue/3.jpg", "blue/4.jpg"]


def test_what_cannot_be_read_gets_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no image under"):
        FolderSamples(tmp_path)
    samples = write(tmp_path, "1.jpg")
    (tmp_path / "1.jpg").unlink()
    with pytest.raises(DataError, match=r"cannot read .*1\.jpg"):
        samples.image_bytes(0)
