"""Stages go where their inputs are."""

from __future__ import annotations

from tbar_ray.execution.locality import Locality


def test_nobody_has_anything_at_first() -> None:
    assert Locality().nearest(["a"]) is None


def test_the_node_with_most_bytes_of_what_is_wanted_is_nearest() -> None:
    where = Locality()
    where.note("one", {"model": 100, "other": 10_000})
    where.note("two", {"model": 100})
    where.note("two", {"vector": 50})
    assert where.nearest(["model", "vector"]) == "two"
    assert where.nearest(["other", "vector"]) == "one"
    assert where.nearest(["none"]) is None
