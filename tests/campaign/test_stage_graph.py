"""The tree of a launch's stages: where each is, how it is, and how it is folded."""

from __future__ import annotations

import pytest

from tbar_ray.campaign import stage_graph
from tbar_ray.campaign.live import LiveGroup, LiveState
from tbar_ray.campaign.stage_graph import MOST_GROUPS, MOST_RUNNING, StageGraph
from tbar_ray.execution.calls import Snapshot, StageStatus, State
from tbar_ray.planning.planner import PlannedTrial, Planner
from tbar_ray.stages.node import stages_in_order
from tests.specs import spec

Told = tuple[str, dict[State, int], list["Told"]]


def trials(attacks: int, sizes: int) -> list[PlannedTrial]:
    """The trials of a grid of attacks and forget-set sizes."""
    names = [f"a{place}" for place in range(attacks)]
    given = {
        name: {"trigger": "badnets", "target": "red circle", "parameters": {"patch_size": 2 + place}}
        for place, name in enumerate(names)
    }
    axes = {"attack": names, "forget_size": list(range(1, sizes + 1))}
    model = {"architecture": "tbar-GN-pico", "pretrained": "scenes"}
    made = spec(attacks=given, model=model, search={"axes": axes})
    return Planner(made).grid()


def graph_of(planned: list[PlannedTrial]) -> StageGraph:
    graph = StageGraph()
    for trial in planned:
        graph.add(trial.graph.outputs)
    return graph


def below(groups: tuple[LiveGroup, ...], *kinds: str) -> list[LiveGroup]:
    """The groups of the last kind that are below groups of the others."""
    found = list(groups)
    for place, kind in enumerate(kinds):
        found = [each for each in found if each.kind == kind]
        if place + 1 < len(kinds):
            found = [under for each in found for under in each.below]
    return found


CHAIN = ("corpus", "infected-model", "scores", "gate", "vector", "path")


def test_every_stage_is_below_the_last_that_it_needs() -> None:
    planned = trials(2, 1)
    groups = graph_of(planned).groups()
    assert [group.kind for group in groups] == ["evaluation-set", "corpus"]
    for number in range(1, len(CHAIN) + 1):
        assert len(below(groups, *CHAIN[:number])) == (1 if number == 1 else 2), CHAIN[number - 1]
    assert [group.title for group in below(groups, *CHAIN)] == [each.graph.path.title for each in planned]
    assert [each.kind for each in below(groups, "evaluation-set")[0].below] == ["scores"] * 2 + ["visibility"] * 2
    stages = stages_in_order([output for each in planned for output in each.graph.outputs])
    every = [group for first in groups for group in first.groups]
    assert sorted(group.title for group in every) == sorted(stage.title for stage in stages)


def test_many_of_a_kind_are_one_group_with_their_states() -> None:
    planned = trials(1, 5)
    graph = graph_of(planned)
    ends: dict[str, State] = {planned[0].graph.path.unlearn.fingerprint: "done"}
    running = {
        planned[place].graph.path.unlearn.fingerprint: StageStatus(
            f"vector {place}", "vector", "running", done=place, total=9, loss=0.5, rate=70.0
        )
        for place in (1, 2)
    }
    graph.update(Snapshot({}, running, [], ends=ends))
    (vectors,) = below(graph.groups(), *CHAIN[:-1])
    assert (vectors.title, vectors.states) == ("", {"done": 1, "running": 2, "waiting": 2})
    assert [(one.title, one.done, one.total, one.loss, one.rate) for one in vectors.running] == [
        ("vector 1", 1, 9, 0.5, 70.0), ("vector 2", 2, 9, 0.5, 70.0),
    ]  # fmt: skip
    (paths,) = vectors.below
    assert paths.states == {"waiting": 5}
    graph.update(Snapshot({}, {}, [], ends=dict.fromkeys(running, "failed")))
    (vectors,) = below(graph.groups(), *CHAIN[:-1])
    assert vectors.states == {"done": 1, "failed": 2, "waiting": 2}
    assert vectors.running == ()


def test_what_has_ended_and_runs_again_is_running() -> None:
    (planned,) = trials(1, 1)
    graph, path = graph_of([planned]), planned.graph.path
    graph.update(Snapshot({}, {}, [], ends={path.fingerprint: "done"}))
    graph.update(Snapshot({}, {path.fingerprint: StageStatus(path.title, "path", "running")}, []))
    assert below(graph.groups(), *CHAIN)[0].states == {"running": 1}


@pytest.mark.parametrize(("attacks", "sizes"), [(3, 4), (40, 25)])
def test_of_many_stages_few_groups_are_told_in_a_small_file(attacks: int, sizes: int) -> None:
    planned = trials(attacks, sizes)
    graph = graph_of(planned)
    busy = {
        each.graph.path.fingerprint: StageStatus(each.graph.path.title, "path", "running", done=1, total=7, loss=1.25)
        for each in planned[: 2 * MOST_RUNNING]
    }
    graph.update(Snapshot({}, busy, []))
    state = LiveState(written=0.0, trials=len(planned), ended=0, stages=None, graph=graph.groups())
    every = [group for first in state.graph for group in first.groups]
    assert len(every) <= MOST_GROUPS
    stages = stages_in_order([output for each in planned for output in each.graph.outputs])
    assert sum(state.counts.values()) == len(stages)
    assert state.counts["running"] == len(busy)
    assert all(len(group.running) <= MOST_RUNNING for group in every)
    assert len(state.model_dump_json()) < 10_000


def test_stages_that_are_added_again_stay_as_they_are() -> None:
    planned = trials(1, 2)
    graph = graph_of(planned)
    before = graph.groups()
    graph.add(planned[0].graph.outputs)
    assert graph.groups() == before


def test_where_groups_would_be_too_many_fewer_stages_stay_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = graph_of(trials(2, 2))
    assert len(below(graph.groups(), *CHAIN)) == 4
    monkeypatch.setattr(stage_graph, "MOST_GROUPS", 12)
    (paths,) = below(graph.groups(), *CHAIN)
    assert paths.states == {"waiting": 4}
