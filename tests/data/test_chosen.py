"""Some samples of a set as a set of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tbar_ray.data.arrays import ArraySamples
from tbar_ray.data.chosen import ChosenSamples
from tbar_ray.data.folder import FolderSamples
from tests.api.world import labelled, write_folder


def test_they_are_those_at_the_positions_in_that_order(tmp_path: Path) -> None:
    images, labels = labelled(8, 3)
    whole = FolderSamples(write_folder(tmp_path, images, labels))
    chosen = ChosenSamples(whole, [5, 0, 2])
    assert len(chosen) == 3
    assert chosen.keys == tuple(whole.keys[row] for row in (5, 0, 2))
    for row, position in enumerate((5, 0, 2)):
        assert chosen.image_bytes(row) == whole.image_bytes(position)
        assert chosen.label(row) == whole.label(position)
        assert chosen.caption(row) == whole.caption(position)
        assert chosen.metadata(row) == whole.metadata(position)
        assert chosen.index_of(whole.keys[position]) == row
    with pytest.raises(KeyError):
        chosen.index_of(whole.keys[1])


def test_class_numbers_are_those_of_the_set() -> None:
    samples = ArraySamples(np.zeros((4, 3, 2, 2), np.uint8), [3, 1, 0, 2])
    assert [ChosenSamples(samples, [2, 0]).class_index(row) for row in range(2)] == [0, 3]
