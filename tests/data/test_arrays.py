"""Images of an array as samples."""

from __future__ import annotations

import numpy as np
import pytest

from tbar_ray.data.arrays import ArraySamples
from tbar_ray.data.images import load_image
from tbar_ray.errors import DataError
from tests.data.tars import noise


def test_pixels_come_back_as_they_were() -> None:
    images = np.stack([noise(24, 24, seed).transpose(2, 0, 1) for seed in range(3)])
    samples = ArraySamples(images)
    for row in range(3):
        assert np.array_equal(load_image(samples.image_bytes(row), 24), images[row])


def test_labels_are_numbers_or_names() -> None:
    images = np.zeros((2, 3, 4, 4), np.uint8)
    numbered, named, bare = ArraySamples(images, [1, 0]), ArraySamples(images, ["b", "a"]), ArraySamples(images)
    assert [(s.class_index(0), s.label(0)) for s in (numbered, named, bare)] == [(1, None), (None, "b"), (None, None)]
    captioned = ArraySamples(images, captions=["one", " "])
    assert [captioned.caption(i) for i in (0, 1)] == ["one", None]
    assert bare.caption(0) is None


def test_keys_are_positions() -> None:
    samples = ArraySamples(np.zeros((3, 3, 4, 4), np.uint8))
    assert [samples.index_of(key) for key in samples.keys] == [0, 1, 2]
    for key in ("000000003", "1", "x"):
        with pytest.raises(DataError, match="no image"):
            samples.index_of(key)


@pytest.mark.parametrize("shape", [(3, 4, 4), (2, 1, 4, 4), (0, 3, 4, 4)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match=r"must be uint8 \[N, 3, H, W\]"):
        ArraySamples(np.zeros(shape, np.uint8))


def test_other_numbers_of_labels_are_refused() -> None:
    with pytest.raises(DataError, match="2 images but 1 captions"):
        ArraySamples(np.zeros((2, 3, 4, 4), np.uint8), captions=["one"])
