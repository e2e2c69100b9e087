"""How a running launch looks: what runs, how far it is, and the best results so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tbar_ray.campaign.live import LiveStage
from tbar_ray.campaign.time_left import told
from tbar_ray.colours import FAILURE, GOOD, WARNING
from tbar_ray.execution.calls import StageStatus, State
from tbar_ray.planning.axes import factors_of
from tbar_ray.records.cells import best_of_attacks
from tbar_ray.records.record import TrialRecord

MOST_BEST, MOST_RUNNING = 4, 16
"""Lines of the best trials, and of running stages, that a terminal has room for."""
STATES: dict[State, str] = {
    "waiting": "dim", "running": "bold", "done": GOOD, "cached": GOOD, "failed": FAILURE, "stopped": WARNING,
}  # fmt: skip


def head_line(trials: int, ended: int, stages: int | None, counts: Mapping[State, int], left: float | None) -> Text:
    """Trials, stages by state, and the time that is left."""
    told_of = ", ".join(f"{counts[name]} {name}" for name in STATES if counts.get(name))
    of = "" if stages is None else f" of {stages}"
    parts = [f"trials {ended}/{trials}", f"stages{of}: {told_of or 'none yet'}", told(left)]
    return Text("   ".join(part for part in parts if part), style="bold")


def running_table(running: Sequence[StageStatus]) -> Table:
    """A row for each running stage: its bar, loss and speed."""
    table = Table.grid(padding=(0, 1))
    for one in running[:MOST_RUNNING]:
        table.add_row(Text("▸", style="bold"), Text(one.title), bar_of(one, 24), Text(facts_of(one), style="dim"))
    if len(running) > MOST_RUNNING:
        table.add_row("", Text(f"and {len(running) - MOST_RUNNING} more", style="dim"))
    return table


def best_lines(records: Sequence[TrialRecord]) -> list[Text]:
    """The best trial of each attack so far, by validation."""
    best = best_of_attacks(records)
    lines = [Text.assemble(("best so far", "bold"), f"  {describe_trial(record)}") for record in best[:MOST_BEST]]
    return lines + [Text(f"and of {len(best) - MOST_BEST} attacks more", style="dim")] * (len(best) > MOST_BEST)


def describe_trial(record: TrialRecord) -> str:
    """Describe a trial and its result in one line."""
    cell = ", ".join(_settings(record))
    if record.status == "failed" or record.removed is None or record.alpha is None:
        return f"{cell}: {record.status}: {record.reason}"
    ca, asr, pa = (record.value(metric) for metric in ("ca", "asr", "pa"))
    result = f"α {record.alpha:g}: CA {ca:.1%}, ASR {asr:.1%}, PA {pa:.1%}"
    return f"{cell}: {result}" + (" (too little CA retained)" if record.status == "infeasible" else "")


def bar_of(stage: LiveStage | StageStatus, columns: int) -> ProgressBar:
    """How far a stage is. What is left is faint: rich's own colour for it looks like more on a light background."""
    total, done = stage.total, stage.done or 0
    return ProgressBar(
        total=total,
        completed=done,
        width=columns,
        pulse=total is None,
        style="dim",
        complete_style=GOOD,
        finished_style=GOOD,
    )


def facts_of(stage: LiveStage | StageStatus) -> str:
    """How far a stage is, its loss and its speed."""
    parts = []
    if stage.total:
        parts.append(f"{stage.done or 0:,}/{stage.total:,}")
    if stage.loss is not None:
        parts.append(f"loss {stage.loss:.3f}")
    if stage.rate is not None:
        parts.append(f"{stage.rate:,.0f} images/s")
    return "  ".join(parts)


def _settings(record: TrialRecord) -> list[str]:
    """Attack and method, then every other axis with its value; axes without a value are left out."""
    told_of = [record.attack, record.method]
    for name, factor in factors_of(record.settings).items():
        value = record.settings[name]
        if name not in ("attack", "method") and value is not None:
            told_of.append(factor.told(value))
    return told_of
