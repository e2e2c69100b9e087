"""Class numbers that are given names."""

from __future__ import annotations

import numpy as np
import pytest

from tbar_ray.data.arrays import ArraySamples
from tbar_ray.data.named import NamedSamples
from tbar_ray.errors import DataError

IMAGES = np.zeros((2, 3, 4, 4), np.uint8)


def test_numbers_become_names() -> None:
    samples = NamedSamples(ArraySamples(IMAGES, [1, 0], ["one", "two"]), ("a", "b"))
    assert [samples.label(i) for i in (0, 1)] == ["b", "a"]
    assert samples.class_index(0) is None
    assert (samples.caption(1), samples.index_of(samples.keys[1]), len(samples)) == ("two", 1, 2)


def test_a_number_without_a_name_is_refused() -> None:
    with pytest.raises(DataError, match="has class 2, but there are 2 classes"):
        NamedSamples(ArraySamples(IMAGES, [2, 0]), ("a", "b")).label(0)
