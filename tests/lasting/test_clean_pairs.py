from __future__ import annotations

import numpy as np
import pytest

from tbar_ray.data.arrays import ArraySamples
from tbar_ray.errors import DataError
from tbar_ray.evaluation.class_prompts import ClassPrompts
from tbar_ray.lasting.clean_pairs import read_clean_pairs
from tbar_ray.models.factory import Preprocessing
from tbar_ray.unlearning.reader import DefenderReader
from tests.models.tiny import tokenizer
from tests.unlearning.planted import NAMES

PREPROCESS = Preprocessing(16, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "bicubic")
CAPTIONS = ["a red thing", "a grey thing beside a Blue one", "bluebells", "something green", "a blue sky", "grey"]


def reader(captions: list[str] = CAPTIONS, labels: list[str] | list[int] | None = None) -> DefenderReader:
    images = np.zeros((len(captions), 3, 16, 16), np.uint8)
    classes = ClassPrompts(NAMES, ("a {c} thing",), tokenizer())
    numbered = labels is not None and isinstance(labels[0], int)
    return DefenderReader(ArraySamples(images, labels, captions), classes, PREPROCESS, 0, numbered=numbered)


def rows(keys: tuple[str, ...]) -> set[int]:
    return {int(key) for key in keys}


def test_pairs_that_name_the_target_are_left_out_and_counted() -> None:
    found = read_clean_pairs(reader(), "blue", 10, seed=0)
    assert rows(found.keys) == {0, 2, 3, 5}
    assert found.naming == 2
    assert set(found.pairs.captions) == {CAPTIONS[row] for row in rows(found.keys)}
    assert len(found.pairs) == 4


def test_of_labelled_pairs_the_label_counts_and_the_caption_too() -> None:
    found = read_clean_pairs(reader(labels=["red", "grey", "blue", "green", "blue", "grey"]), "blue", 10, seed=0)
    assert rows(found.keys) == {0, 3, 5}
    numbered = read_clean_pairs(reader(["x"] * 6, [0, 3, 2, 1, 2, 3]), "blue", 10, seed=0)
    assert rows(numbered.keys) == {0, 1, 3, 5}


def test_the_choice_is_of_seed_and_key_and_a_smaller_one_is_part_of_a_larger() -> None:
    captions = [f"a red thing {row}" for row in range(40)]
    few, many = (read_clean_pairs(reader(captions), "blue", count, seed=3).keys for count in (10, 25))
    assert few == many[:10]
    assert few != read_clean_pairs(reader(captions), "blue", 10, seed=4).keys
    without = read_clean_pairs(reader(captions), "blue", 10, seed=3, exclude=frozenset(few[:4])).keys
    assert without == many[4:14]


def test_without_two_pairs_there_is_one_clear_line() -> None:
    taken = frozenset(f"{row:09d}" for row in (0, 2, 3))
    with pytest.raises(DataError, match="rebound: 1 clean pairs are left of 6 samples: 3 are poisoned or in use, 2"):
        read_clean_pairs(reader(), "blue", 10, seed=0, exclude=taken)
    with pytest.raises(DataError, match=r"no clean pairs are left .* 2 more name the target 'blue'; give more"):
        read_clean_pairs(reader(["blue", "a blue thing"]), "blue", 10, seed=0)
