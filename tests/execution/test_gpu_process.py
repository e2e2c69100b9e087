"""Which GPU a process belongs to, without Ray and without a GPU."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import ray
import torch

from tbar_ray.execution import gpu_process
from tbar_ray.execution.gpu_process import free_gpu_memory, is_of_another_gpu


@pytest.fixture(autouse=True)
def _new_process() -> Iterator[None]:
    gpu_process._first_given.cache_clear()
    yield
    gpu_process._first_given.cache_clear()


def test_a_process_belongs_to_the_gpus_that_it_was_given_first(monkeypatch: pytest.MonkeyPatch) -> None:
    for given, expected in (([1], False), ([1], False), ([0], True), ([0, 1], True), ([1], False)):
        monkeypatch.setattr(ray, "get_gpu_ids", lambda given=given: given)
        assert is_of_another_gpu() is expected


def test_memory_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: calls.append("emptied"))
    free_gpu_memory()
    assert calls == ["emptied"]
