"""Samples of this process: what they hold, and that they are few however long a training is."""

from __future__ import annotations

import time

import psutil
import pytest
import torch

from tbar_ray.execution import process_samples
from tbar_ray.execution.process_samples import ProcessSamples
from tests.waiting import wait_until


def _compute(seconds: float) -> None:
    ends = time.process_time() + seconds
    while time.process_time() < ends:
        pass


def test_work_that_ends_before_the_first_sample_has_one_of_its_end() -> None:
    with ProcessSamples(every=60) as samples:
        _compute(0.2)
    (seconds,), (computed,) = samples.columns["seconds"], samples.columns["cpu_seconds"]
    assert seconds is not None
    assert computed is not None
    assert 0.15 <= computed <= seconds * (psutil.cpu_count() or 1) + 0.05, "the system counts in hundredths"
    assert samples.columns["memory"] == [pytest.approx(psutil.Process().memory_info().rss, rel=0.2)]
    assert samples.columns["gpu_memory"] == samples.columns["gpu_utilisation"] == [None], "this process uses no GPU"


def test_long_work_has_few_samples_at_even_distances() -> None:
    started = time.perf_counter()
    with ProcessSamples(every=0.01, most=8) as samples:
        wait_until(lambda: samples.every >= 0.16)
    took = time.perf_counter() - started
    taken = [second for second in samples.columns["seconds"] if second is not None]
    assert 4 <= len(taken) <= 8
    assert taken == sorted(taken)
    assert 0.16 <= taken[-1] <= took + 0.001
    assert taken[0] > 0.08, "the first of them were left out as the later ones"
    assert {len(values) for values in samples.columns.values()} == {len(taken)}


def test_as_many_samples_as_are_kept_are_thinned_and_further_ones_are_rarer() -> None:
    with ProcessSamples(every=60, most=8) as samples:
        for _ in range(8):
            samples._sample()
        taken = list(samples.columns["seconds"])
        samples._sample()
        assert samples.columns["seconds"][:-1] == taken[1::2]
        assert samples.every == 120


def test_of_a_gpu_memory_is_told_and_its_share_where_a_library_knows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (30, 80))
    monkeypatch.setattr(torch.cuda, "utilization", lambda _: 40)
    assert process_samples._gpu() == (50, 0.4)

    def missing(_: int) -> int:
        raise ModuleNotFoundError("nvidia-ml-py does not seem to be installed")

    monkeypatch.setattr(torch.cuda, "utilization", missing)
    assert process_samples._gpu() == (50, None)
