"""Starting Ray on a machine that is too busy or too small for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tbar_ray.errors import SpecError
from tbar_ray.execution import cluster
from tests.specs import spec

TOO_LATE = "The current node timed out during startup. This could happen because some of the raylet failed to startup"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders of the Rays that were started, none of which is one."""
    monkeypatch.setattr(cluster.ray, "is_initialized", lambda: False)
    monkeypatch.setattr(cluster, "_shut_down", lambda: None)
    monkeypatch.setattr(cluster, "nodes", lambda: [{"CPU": 2.0}])
    return []


def test_a_start_that_took_too_long_is_tried_again(started: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def start(folder: Path, cpus: int) -> None:
        started.append(folder)
        if len(started) < cluster.ATTEMPTS:
            raise Exception(TOO_LATE)  # Ray has no class for it

    monkeypatch.setattr(cluster, "_start", start)
    with cluster.ray_session("local", spec()):
        assert [folder.exists() for folder in started] == [False, False, True]
    assert not started[-1].exists()


@pytest.mark.parametrize(
    ("reason", "attempts", "advice"),
    [(TOO_LATE, cluster.ATTEMPTS, "run the same command again"), ("no room.", 1, "start one")],
)
def test_ray_that_does_not_start_is_one_line(
    reason: str, attempts: int, advice: str, started: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(folder: Path, cpus: int) -> None:
        started.append(folder)
        raise Exception(f"{reason}\nmore")

    monkeypatch.setattr(cluster, "_start", start)
    with (
        pytest.raises(SpecError, match=f"^Ray at 'local': {reason.rstrip('.')}; {advice}"),
        cluster.ray_session("local", spec()),
    ):
        pass
    assert len(started) == attempts
    assert not any(folder.exists() for folder in started)


def test_a_cluster_that_is_there_and_lets_nobody_in_is_one_line_about_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(address: str) -> None:
        raise ConnectionError(f"Failed to connect to Ray cluster at {address}\nmore")

    monkeypatch.setattr(cluster, "_join", refused)
    for connected in (cluster.ray_session("head:6379", spec()), cluster.joined("head:6379")):
        with pytest.raises(SpecError, match=r"^Ray at 'head:6379': .*; it listens, so check that its token") as caught:
            connected.__enter__()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("given", "asked", "expected"), [(1, 1, 1), (6, 2, 6), (1, 4, 4)])
def test_it_has_the_cpus_that_this_process_was_given_and_those_that_a_stage_asks_for(
    given: int, asked: int, expected: int, started: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[int] = []
    monkeypatch.setattr(cluster, "_start", lambda _, cpus: found.append(cpus))
    monkeypatch.setattr(cluster, "processors", lambda: given)
    monkeypatch.setattr(cluster, "nodes", lambda: [{"CPU": float(found[-1])}])
    with cluster.ray_session("local", spec(resources__training_cpus=asked, resources__trial_cpus=1)):
        assert found == [expected]
    assert started == []


def test_a_machine_that_cannot_hold_the_stages_is_one_line_and_ray_ends(
    started: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[bool] = []
    monkeypatch.setattr(cluster, "_start", lambda folder, _: started.append(folder))
    monkeypatch.setattr(cluster, "_shut_down", lambda: ended.append(True))
    with (
        pytest.raises(SpecError, match=r"^resources: a training takes 1 CPUs and 99 GPUs, and there is no node with"),
        cluster.ray_session("local", spec(resources={"training_cpus": 1, "training_gpus": 99})),
    ):
        pass
    assert ended == [True]
    assert [folder.exists() for folder in started] == [False]
