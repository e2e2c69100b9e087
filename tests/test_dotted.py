"""Values by their dotted paths."""

from __future__ import annotations

import pytest

from tbar_ray.dotted import is_set, leaves


def test_leaves_are_named_by_their_paths_and_lists_and_empty_mappings_are_leaves() -> None:
    content = {"model": {"training": {"epochs": 8}, "tags": ["a", {"b": 1}]}, "methods": {}, "seed": None}
    assert dict(leaves(content)) == {
        "model.training.epochs": 8,
        "model.tags": ["a", {"b": 1}],
        "methods": {},
        "seed": None,
    }


@pytest.mark.parametrize(
    ("value", "wanted"), [(None, False), ({}, False), ([], False), ((), False), (0, True), ("", True), ([0], True)]
)
def test_a_value_that_is_empty_or_none_is_not_set_but_zero_and_an_empty_text_are(value: object, wanted: bool) -> None:
    assert is_set(value) is wanted
