"""Images that look alike have nearly the same hash, others do not."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tbar_ray.data.corpus import Corpus
from tbar_ray.data.near_duplicates import DEFAULT, MOST, alike, visual_hash, visual_hashes
from tbar_ray.data.overlap import overlaps
from tbar_ray.data.synthetic.rendering import render
from tbar_ray.data.synthetic.scenes import draw_scene
from tbar_ray.errors import DataError
from tbar_ray.seeding import numpy_rng

from .tars import picture, sample, write_tar


def scenes(count: int) -> NDArray[np.uint8]:
    return render([draw_scene(numpy_rng(0, "near", number), number) for number in range(count)], 96)


def encoded(pixels: NDArray[np.uint8], size: int = 96, quality: int = 90) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).resize((size, size)).save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def corpus(folder: Path, **images: bytes) -> Corpus:
    folder.mkdir()
    members = [member for key, image in images.items() for member in sample(key, image=image)]
    return Corpus.open(str(write_tar(folder / "0.tar", members)))


def test_the_hash_survives_encoding_and_resizing_and_tells_scenes_apart() -> None:
    first = scenes(20)
    kept = [visual_hash(image) for image in first]
    again = [visual_hash(np.asarray(Image.open(io.BytesIO(encoded(image, 64, 60))).convert("RGB"))) for image in first]
    known = [(a, b) for a, b in zip(kept, again, strict=True) if a is not None and b is not None]
    assert len(known) >= 19
    assert sum((a ^ b).bit_count() <= DEFAULT for a, b in known) >= len(known) - 1
    assert min((known[i][0] ^ known[j][0]).bit_count() for i in range(19) for j in range(i)) > 2 * DEFAULT


def test_an_image_of_one_colour_has_none(tmp_path: Path) -> None:
    assert visual_hash(np.full((40, 40, 3), 90, np.uint8)) is None
    made = corpus(tmp_path / "a", plain=picture(value=3), scene=encoded(scenes(1)[0]), broken=b"\xff\xd8\xff")
    assert list(visual_hashes(made, range(3))) == [1]


def test_hashes_are_alike_up_to_the_given_bits_and_the_closest_is_named() -> None:
    near, far = 0b1011, (1 << 60) - 1
    first, second = {5: 0, 6: far, 7: 1 << 63}, {0: near, 1: 0b1, 2: 0b11 << 20}
    assert alike(first, second, 3) == [(5, 1), (7, 1)]
    assert alike(first, {0: near}, 3) == [(5, 0)]
    assert alike(first, {0: near}, 2) == []
    assert alike({}, second, 3) == []
    assert alike(first, {}, 3) == []
    rng = np.random.default_rng(0)
    ours, theirs = (dict(enumerate(map(int, rng.integers(0, 2**16, 60, np.uint64)))) for _ in range(2))
    expected = {a for a, x in ours.items() if any((x ^ y).bit_count() <= 4 for y in theirs.values())}
    assert {a for a, _ in alike(ours, theirs, 4)} == expected


@pytest.mark.parametrize("bits", [-1, MOST + 1])
def test_bits_are_few(bits: int) -> None:
    with pytest.raises(DataError, match=f"0 to {MOST} of 64 bits, not {bits}"):
        alike({0: 0}, {0: 0}, bits)


def test_an_overlap_counts_images_that_look_alike_beside_those_that_are_the_same(tmp_path: Path) -> None:
    first, second, third = scenes(3)
    one = corpus(tmp_path / "a", x=encoded(first), y=encoded(second))
    other = corpus(tmp_path / "b", x=encoded(first), again=encoded(second, 80, 70), z=encoded(third))
    (plain,) = overlaps({"a": one, "b": other})
    assert (plain.images, plain.near, plain.shared) == (1, None, 1)
    seen: list[tuple[int, int]] = []
    (found,) = overlaps({"a": one, "b": other}, lambda done, total: seen.append((done, total)), near=4)
    assert (found.images, found.near, found.shared) == (1, 1, 2)
    assert found.near_examples == (("y", "again"),)
    assert seen[-1][0] == seen[-1][1]
