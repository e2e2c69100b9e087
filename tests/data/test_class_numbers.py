from __future__ import annotations

from pathlib import Path

import pytest

from tbar_ray.data.class_numbers import numbers_of, numbers_of_all
from tbar_ray.errors import DataError


def test_labels_are_class_names_or_numbered_in_sorted_order() -> None:
    assert numbers_of(["shoe", "red_hat"], ["red hat", "shoe"]) == {"shoe": 1, "red_hat": 0}
    assert numbers_of(["n02", "n01"], ["tench", "goldfish"]) == {"n01": 0, "n02": 1}


def test_labels_that_are_no_class_are_left_out_unless_all_are_needed() -> None:
    assert numbers_of(["shoe", "n01"], ["tench", "shoe"]) == {"shoe": 1}
    assert numbers_of(["n01", "n02", "n03"], ["tench", "goldfish"]) == {}
    with pytest.raises(DataError, match=r"sets/a: subfolder 'n01' is none of the 2 classes"):
        numbers_of_all(["shoe", "n01"], ["tench", "shoe"], Path("sets/a"))
