"""The notice that a node is to be taken away. That Ray gives one is tested with real nodes, in the slow lane."""

from __future__ import annotations

import time

import pytest

from tbar_ray.stages import notice
from tbar_ray.stages.notice import Notice


def given_within(watched: Notice, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not watched.given and time.monotonic() < deadline:
        time.sleep(0.005)
    return watched.given


def test_a_notice_of_one_of_the_nodes_is_given_also_after_looks_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([ConnectionError("the head restarts"), frozenset({"c"}), frozenset({"c", "a"})])

    def look() -> frozenset[str]:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(notice, "draining_nodes", look)
    monkeypatch.setattr(notice, "EVERY", 0.01)
    with Notice(["a", "b"]) as watched:
        assert given_within(watched, 30)
    assert next(answers, None) is None


def test_other_nodes_are_no_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []

    def look() -> frozenset[str]:
        looks.append(1)
        return frozenset({"c"})

    monkeypatch.setattr(notice, "draining_nodes", look)
    monkeypatch.setattr(notice, "EVERY", 0.01)
    with Notice(["a", "b"]) as watched:
        while len(looks) < 3:
            time.sleep(0.005)
    assert not watched.given
