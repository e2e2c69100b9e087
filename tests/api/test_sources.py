"""Where samples come from."""

from __future__ import annotations

from pathlib import Path

import pytest

import tbar_ray as tbar
from tbar_ray.api.sources import open_samples
from tbar_ray.errors import DataError
from tests.api.world import NAMES, labelled, write_benchmark
from tests.data.raw.material import write_table


def test_a_table_is_a_source_of_samples(tmp_path: Path) -> None:
    file = write_table(tmp_path, 8)
    file.write_text(file.read_text().replace("image,caption,type", "image,caption,label"))
    samples = open_samples(file)
    assert (len(samples), samples.label(1), samples.caption(0)) == (8, "shoe", 'a "hat", number 0')
    assert len(tbar.forget_set(str(file), size=4).samples) == 8


@pytest.mark.parametrize("split", ["test", "train"])
def test_a_set_with_one_split_is_simply_used(split: str, tmp_path: Path) -> None:
    images, labels = labelled(8, 9)
    place = write_benchmark(tmp_path / "set", images, labels, split)
    samples = open_samples(place)
    assert [samples.label(row) for row in range(8)] == [NAMES[label] for label in labels]
    if split == "train":
        with pytest.warns(UserWarning, match="set has no test split: its train split is used"):
            assert len(tbar.evaluation_set(place)) == 8
    else:
        assert len(tbar.evaluation_set(place)) == 8


def test_of_two_splits_train_is_worked_with_and_test_evaluates_and_a_set_without_any_is_refused(tmp_path: Path) -> None:
    place = write_benchmark(tmp_path / "set", *labelled(8, 9))
    write_benchmark(tmp_path / "other", *labelled(5, 3), "train").joinpath("train").rename(place / "train")
    assert (len(open_samples(place)), len(tbar.evaluation_set(place))) == (5, 8)
    for split in ("train", "test"):
        (place / split / "nshards.txt").unlink()
    for read in (open_samples, tbar.evaluation_set):
        with pytest.raises(DataError, match=r"set has neither test/nshards\.txt nor train/nshards\.txt"):
            read(place)
