"""How many processes a launch makes ready, without Ray."""

from __future__ import annotations

from typing import Any

import pytest
import ray

from tbar_ray.campaign.actors import workers_ready

CORES = 8


@pytest.mark.parametrize(
    ("count", "most_cpus", "expected"),
    [(4, None, 4), (20, None, CORES), (20, 50, CORES), (4, 3, 2), (4, 1, 0)],
    ids=["as many as asked for", "no more than cores", "a limit that is none", "a limit", "one CPU"],
)
def test_no_process_is_made_ready_that_no_stage_could_use(
    count: int, most_cpus: float | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, cancelled = list[object](), list[object]()

    class Task:
        def options(self, **_: Any) -> Task:
            return self

        def remote(self) -> object:
            started.append(object())
            return started[-1]

    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": float(CORES)})
    monkeypatch.setattr(ray, "remote", lambda _: Task())
    monkeypatch.setattr(ray, "cancel", cancelled.append)
    with workers_ready(count, most_cpus):
        assert len(started) == expected
        assert cancelled == []
    assert cancelled == started
