"""What `tbar campaign plan` shows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from tbar_ray.colours import GOOD
from tbar_ray.naming import counted
from tbar_ray.planning.plan import Plan, PlannedStage, total_seconds
from tbar_ray.report.expenses import hours


def kinds_table(title: str, plan: Plan) -> Table:
    """A row for each kind of stage, in the order in which they run."""
    table = Table("stages", title=title)
    for head in ("in the store", "to compute", "images", "estimate"):
        table.add_column(head, justify="right")
    for kind in dict.fromkeys(entry.stage.kind for entry in plan.stages):
        entries = [entry for entry in plan.stages if entry.stage.kind == kind]
        left = [entry for entry in entries if not entry.cached]
        first = entries[0].stage.title
        name = first if len(entries) == 1 else f"{len(entries)} × {kind}, e.g. {first}"
        images = sum(entry.stage.work for entry in left)
        table.add_row(
            Text(name), str(len(entries) - len(left)), str(len(left)), f"{images:,}" if images else "", _estimate(left)
        )
    return table


def stages_table(title: str, plan: Plan) -> Table:
    """A row for each stage."""
    table = Table("stage", title=title)
    for column in ("images", "estimate"):
        table.add_column(column, justify="right")
    table.add_column("state")
    for entry in plan.stages:
        state = Text("in the store", style=GOOD) if entry.cached else "to compute"
        count = f"{entry.stage.work:,}" if entry.stage.work else ""
        table.add_row(Text(entry.stage.title), count, "" if entry.cached else _estimate([entry]), state)
    return table


def plan_lines(plan: Plan, cpus: int, at_speed: bool) -> Iterator[str]:
    """What it will take, in a line each: work, time, and the least node.

    Args:
        plan: the plan.
        cpus: of this machine.
        at_speed: whether the estimates are of a speed that the user gave.
    """
    todo = plan.to_compute
    images = sum(entry.stage.work for entry in todo)
    yield f"{len(plan.stages) - len(todo)} stages in the store, {len(todo)} to compute ({images:,} images)"
    spent, clock = plan.hours(), plan.wall_clock(cpus)
    if not todo:
        return
    if spent is None or clock is None:
        yield "time unknown until each kind of stage has run once; --images-per-second estimates it"
    else:
        how = "at that speed" if at_speed else "by what is measured in the store"
        yield (
            f"about {hours(spent[0])} CPU-hours and {hours(spent[1])} GPU-hours {how}; "
            f"{duration(clock)} at least on {counted(cpus, 'CPU')}"
        )
    least = plan.least_node
    parts = [counted(least.cpus, "CPU"), *([f"{least.gpus:g} GPUs"] if least.gpus else [])]
    room = f"{least.memory / 1e9:.1f} GB of memory and {least.disk / 1e9:.1f} GB of disk"
    yield f"a node needs at least {', '.join(parts)}, {room}"
    if least.workers > 1:
        yield f"a training takes {least.workers} times as many CPUs and GPUs at once, on one node or on several"


def duration(seconds: float) -> str:
    """Seconds, minutes or hours: '45 s', '12 min', '3.4 h'."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:,.1f} h"


def _estimate(stages: Sequence[PlannedStage]) -> str:
    if not stages:
        return ""
    seconds = total_seconds(list(stages))
    return "not measured yet" if seconds is None else duration(seconds)
