"""How a tree of stages looks: in few lines or many, on a wide terminal or a narrow one, with few characters."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pytest
from rich.console import Console
from rich.text import Text

from tbar_ray.campaign.graph_view import StageTree, folded
from tbar_ray.campaign.live import LiveGroup, LiveStage

PLANTING = LiveStage(title="plant badnets 10.00% (seed 0)", done=71, total=220, loss=1.1731, rate=741.2)
CUTTING = LiveStage(title="tbar: blended, 300 images", done=3, total=20)


def planted(name: str, vectors: LiveGroup, *running: LiveStage) -> LiveGroup:
    """An infected model with its gate and vectors."""
    gate = LiveGroup(kind="gate", title=f"did the attack take ({name})", states={"waiting": 1}, below=(vectors,))
    state = "running" if running else "done"
    return LiveGroup(
        kind="infected-model", title=f"plant {name}", states={state: 1}, running=tuple(running), below=(gate,)
    )


GRAPH = (
    LiveGroup(
        kind="corpus",
        title="corpus of 400 scenes",
        states={"cached": 1},
        below=(
            planted("badnets", LiveGroup(kind="vector", states={"waiting": 12}), PLANTING),
            planted(
                "blended", LiveGroup(kind="vector", states={"done": 7, "running": 1, "failed": 4}, running=(CUTTING,))
            ),
        ),
    ),
)


def shown(width: int = 100, room: int = 60, encoding: str = "utf-8", groups: Sequence[LiveGroup] = GRAPH) -> list[str]:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding=encoding, errors="strict")
    Console(file=out, width=width, highlight=False).print(StageTree(Text("demo"), groups, room))
    out.flush()
    return [line.rstrip() for line in raw.getvalue().decode(encoding).splitlines()]


def test_each_stage_is_below_what_it_needs_with_its_state() -> None:
    assert shown() == [
        "demo",
        "└── ✓ corpus of 400 scenes",
        "    ├── ▸ plant badnets 10.00% (seed 0) ━━━╸         71/220  loss 1.173  741 images/s",
        "    │   └── · did the attack take (badnets)",
        "    │       └── 12 × vector: 12 waiting",
        "    └── ✓ plant blended",
        "        └── · did the attack take (blended)",
        "            └── 12 × vector: 1 running, 7 done, 4 failed",
        "                └── ▸ tbar: blended, 300 images ━╸           3/20",
    ]


def test_where_lines_are_short_they_are_folded_by_kind() -> None:
    assert shown(room=8) == [
        "demo",
        "└── ✓ corpus of 400 scenes",
        "    └── 2 × infected-model: 1 running, 1 done",
        "        ├── ▸ plant badnets 10.00% (seed 0) ━━━╸         71/220  loss 1.173  741 images/s",
        "        └── 2 × gate: 2 waiting",
        "            └── 24 × vector: 12 waiting, 1 running, 7 done, 4 failed",
        "                └── ▸ tbar: blended, 300 images ━╸           3/20",
    ]


def test_where_many_run_on_few_lines_some_are_shown_and_their_number_stays() -> None:
    stages = tuple(CUTTING.model_copy(update={"title": f"vector {place}"}) for place in range(12))
    vectors = (LiveGroup(kind="vector", states={"running": 40, "waiting": 2}, running=stages),)
    for room, running in ((14, 12), (13, 8), (9, 4), (3, 1), (1, 1)):
        lines = shown(room=room, groups=vectors)
        assert lines[1] == "└── 42 × vector: 2 waiting, 40 running"
        assert len(lines) == 2 + running


def test_a_stage_that_does_not_say_how_far_it_is_has_no_bar() -> None:
    stage = LiveStage(title="tbar: badnets", loss=0.5)
    group = LiveGroup(kind="vector", title="tbar: badnets", states={"running": 1}, running=(stage,))
    assert shown(groups=(group,)) == ["demo", "└── ▸ tbar: badnets loss 0.500"]


def test_few_stay_apart_and_more_are_joined_with_all_below() -> None:
    (corpus,) = GRAPH
    models = [*corpus.below, *corpus.below]
    assert [group.kind for group in folded(models, 4)] == ["infected-model"] * 4
    (joined,) = folded(models, 3)
    assert joined.states == {"running": 2, "done": 2}
    assert joined.below[0].below[0].states == {"waiting": 24, "done": 14, "running": 2, "failed": 8}


@pytest.mark.parametrize("width", [40, 80])
def test_what_does_not_fit_is_cut_but_the_facts_stay(width: int) -> None:
    lines = shown(width)
    assert len(lines) == 9, "no line is broken"
    assert all(len(line) <= width for line in lines)
    assert sum("71/220  loss 1.173" in line for line in lines) == 1
    assert lines[4].endswith("12 × vector: 12 waiting")


def test_a_terminal_of_few_characters_shows_the_same() -> None:
    lines = shown(encoding="ascii")
    assert lines[1] == "`-- + corpus of 400 scenes"
    assert lines[2].startswith("    +-- > plant badnets 10.00% (seed 0) ")
    assert lines[4] == "    |       `-- 12 x vector: 12 waiting"
    assert len(lines) == 9
