from pathlib import Path

import numpy as np
import pytest

from tbar_ray.data.images import load_image
from tbar_ray.data.retrieval_set import RetrievalSet
from tbar_ray.errors import DataError
from tests.data.tars import Members, picture, write_tar


def write(folder: Path, *shards: Members) -> str:
    (folder / "test").mkdir(parents=True)
    (folder / "test" / "nshards.txt").write_text(f"{len(shards)}\n")
    for number, members in enumerate(shards):
        write_tar(folder / "test" / f"{number}.tar", members)
    return str(folder)


def test_images_and_their_captions_one_a_line(tmp_path: Path) -> None:
    url = write(
        tmp_path / "set",
        [("a.webp", picture(form="WEBP")), ("a.txt", b"one \r\n\n two\n"), ("b.jpg", picture()), ("b.txt", b"three")],
        [("c.png", picture(form="PNG", value=9)), ("c.txt", "café".encode())],
    )
    data = RetrievalSet.open(url)
    assert (len(data), [data.corpus.name(i) for i in range(3)]) == (3, ["a", "b", "c"])
    assert list(data.keys) == [f"test-{data.corpus.signature()}/{name}" for name in "abc"]
    assert data.captions == (("one", "two"), ("three",), ("café",))
    images = data.images([2, 0], 16, "bilinear")
    assert (images.shape, images.dtype) == ((2, 3, 16, 16), np.uint8)
    assert (images[0] == 9).all()
    assert np.array_equal(images[1], load_image(data.corpus.image_bytes(0), 16, "bilinear"))


@pytest.mark.parametrize("caption", [[], [("b.txt", b" \n\n")]])
def test_images_without_a_caption_are_counted_and_one_is_named(tmp_path: Path, caption: Members) -> None:
    members = [("a.jpg", picture()), ("a.txt", b"words"), ("b.jpg", picture()), *caption, ("c.jpg", picture())]
    url = write(tmp_path / "set", members)
    with pytest.raises(DataError, match=r"set: 2 of 3 images have no caption \('b' first\).*KEY\.txt") as caught:
        RetrievalSet.open(url)
    assert "\n" not in str(caught.value)


def test_a_set_without_images_or_without_shards(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no sample with an image"):
        RetrievalSet.open(write(tmp_path / "texts", [("a.txt", b"words")]))
    with pytest.raises(DataError, match=r"'0' is not a number of shards"):
        RetrievalSet.open(write(tmp_path / "empty"))
    with pytest.raises(DataError, match=r"test/nshards\.txt cannot be read"):
        RetrievalSet.open(str(tmp_path / "none"))
