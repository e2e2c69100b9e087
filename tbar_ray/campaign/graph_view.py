"""The stages of a running launch as a tree: each below what it needs, with its state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from tbar_ray.campaign.live import LiveGroup, LiveStage
from tbar_ray.campaign.live_view import STATES, bar_of, facts_of
from tbar_ray.campaign.stage_graph import MOST_RUNNING
from tbar_ray.execution.calls import State

MARKS: dict[State, str] = {
    "waiting": "·", "running": "▸", "done": "✓", "cached": "✓", "failed": "✗", "stopped": "■",
}  # fmt: skip
PLAIN: dict[State, str] = {
    "waiting": ".", "running": ">", "done": "+", "cached": "+", "failed": "x", "stopped": "-",
}  # fmt: skip
"""Marks of states, where a terminal has them and where it has ASCII alone."""
BAR, LEAST = 12, 16
"""Columns of a bar, and of the title of a running stage at least."""


@dataclass(frozen=True)
class StageTree:
    """A tree of stages, to be printed: as much of it as some lines hold, and the rest folded by kind.

    Attributes:
        title: above it, in one line or several.
        groups: what it shows.
        room: lines that there are for both.
    """

    title: Text
    groups: Sequence[LiveGroup]
    room: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The tree, in the characters that the terminal has."""
        plain = options.ascii_only
        tree = Tree(self.title, guide_style="dim")
        above = len(self.title.wrap(console, options.max_width))
        _add(tree, fitted(self.groups, self.room - above), plain)
        yield tree


def fitted(groups: Sequence[LiveGroup], room: int) -> list[LiveGroup]:
    """The groups, folded by kind and with fewer running stages until they fit into some lines, as far as they can."""
    found: list[LiveGroup] = []
    for few, most in ((3, MOST_RUNNING), (2, MOST_RUNNING), (1, MOST_RUNNING), (1, 8), (1, 4), (1, 2), (1, 1)):
        found = [_cut(group, most) for group in folded(groups, few)]
        if sum(map(_lines, found)) <= room:
            break
    return found


def _cut(group: LiveGroup, most: int) -> LiveGroup:
    """A group with at most so many of its running stages; its own line says how many run."""
    below = tuple(_cut(each, most) for each in group.below)
    return group.model_copy(update={"running": group.running[:most], "below": below})


def folded(groups: Sequence[LiveGroup], few: int) -> list[LiveGroup]:
    """The groups, with those of a kind below one made one group where they are more than a few.

    Args:
        groups: what is below one group.
        few: how many of a kind stay apart.
    """
    of_kind: dict[str, list[LiveGroup]] = {}
    for group in groups:
        of_kind.setdefault(group.kind, []).append(group)
    found: list[LiveGroup] = []
    for members in of_kind.values():
        if len(members) <= few:
            found += [each.model_copy(update={"below": tuple(folded(each.below, few))}) for each in members]
        else:
            found.append(_joined(members))
    return found


def _joined(members: Sequence[LiveGroup]) -> LiveGroup:
    """Groups of one kind as one."""
    states: Counter[State] = Counter()
    for each in members:
        states.update(each.states)
    return LiveGroup(
        kind=members[0].kind,
        states=states,
        running=tuple(stage for each in members for stage in each.running),
        below=tuple(folded([group for each in members for group in each.below], 1)),
    )


def _lines(group: LiveGroup) -> int:
    """Lines that a group takes: its own, those of the running ones of several, and all below."""
    return 1 + (0 if group.title else len(group.running)) + sum(map(_lines, group.below))


def _add(tree: Tree, groups: Sequence[LiveGroup], plain: bool) -> None:
    for group in groups:
        branch = tree.add(_label(group, plain))
        if not group.title:
            for stage in group.running:
                branch.add(_Progress(stage, _mark("running", plain)))
        _add(branch, group.below, plain)


def _label(group: LiveGroup, plain: bool) -> RenderableType:
    """A stage with its state, or how many of several are in each."""
    if not group.title:
        many = f"{sum(group.states.values()):,} {'x' if plain else '×'} {group.kind}: "
        return Text(many, no_wrap=True, overflow="ellipsis").append_text(Text(", ").join(_counts(group)))
    if group.running:
        return _Progress(group.running[0], _mark("running", plain))
    state = next(iter(group.states))
    line = Text(style="dim" if state == "waiting" else "", no_wrap=True, overflow="ellipsis")
    return line.append(_mark(state, plain), STATES[state]).append(f" {group.title}")


def _mark(state: State, plain: bool) -> str:
    return (PLAIN if plain else MARKS)[state]


def _counts(group: LiveGroup) -> Iterator[Text]:
    for state, style in STATES.items():
        if number := group.states.get(state):
            yield Text(f"{number:,} {state}", style=style)


@dataclass(frozen=True)
class _Progress:
    """A running stage in one line: its title, cut where there is no room, then bar, loss and speed."""

    stage: LiveStage
    mark: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        facts = facts_of(self.stage)
        room = options.max_width - len(facts) - 1
        bar = BAR if self.stage.total and room > LEAST + BAR else 0
        title = Text(f"{self.mark} {self.stage.title}", style="bold")
        title.truncate(max(LEAST, room - bar - 1), overflow="ellipsis")
        table = Table.grid(padding=(0, 1), pad_edge=False)
        cells: list[RenderableType] = [title]
        if bar:
            cells.append(bar_of(self.stage, bar))
        for _ in cells:
            table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis")
        table.add_row(*cells, Text(facts))
        yield table
