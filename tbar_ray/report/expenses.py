"""What a campaign cost, for terminals and for JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tbar_ray.naming import counted
from tbar_ray.records.account import Expense, total_of

if TYPE_CHECKING:
    from rich.table import Table

    from tbar_ray.records.lost_attempts import LostAttempt

LEAST = 0.001
"""Hours below which a number says no more than that it is small."""


def hours(value: float) -> str:
    """Hours with three digits, or one behind the point: '0.00412', '12.5', '1,234.0'; '<0.001' for a few seconds."""
    if 0 < value < LEAST:
        return f"<{LEAST:g}"
    return f"{value:,.1f}" if value >= 10 else f"{value:.3g}"


def expense_line(account: Mapping[str, Expense]) -> str:
    """What was spent and saved, in one line."""
    total = total_of(account)
    spent = f"{hours(total.cpu_hours)} CPU-hours, {hours(total.gpu_hours)} GPU-hours"
    saved = f"{hours(total.saved_cpu_hours)} CPU-hours, {hours(total.saved_gpu_hours)} GPU-hours"
    return f"{spent} in {counted(total.computed, 'stage')}; {saved} saved by results that were there or are shared"


def lost_line(attempts: Sequence[LostAttempt]) -> str | None:
    """What attempts cost that were cut off, and how much of it was done again, in one line; None if there were none."""
    if not attempts:
        return None
    causes = Counter(attempt.cause for attempt in attempts)
    told = ", ".join(f"{number} by the loss of a {cause}" for cause, number in sorted(causes.items()))
    cpu, gpu, wasted_cpu, wasted_gpu = (hours(value) for value in lost_json(attempts)["hours"].values())
    held, wasted = f"{cpu} CPU-hours, {gpu} GPU-hours", f"{wasted_cpu} CPU-hours, {wasted_gpu} GPU-hours"
    return (
        f"{counted(len(attempts), 'attempt')} at stages cut off ({told}), which held {held}; {wasted} were done again"
    )


def lost_json(attempts: Sequence[LostAttempt]) -> dict[str, Any]:
    """What attempts cost that were cut off, for JSON: how many by cause, and the hours that they held and wasted."""
    names = ("cpu_hours", "gpu_hours", "wasted_cpu_hours", "wasted_gpu_hours")
    return {
        "attempts": dict(Counter(attempt.cause for attempt in attempts)),
        "hours": {name: sum(getattr(attempt, name) for attempt in attempts) for name in names},
    }


def expense_table(account: Mapping[str, Expense]) -> Table:
    """A row for each kind of stage, and their sum."""
    from rich.table import Table

    table = Table("stages", box=None, pad_edge=False)
    for head in ("computed", "used", "CPU-hours", "GPU-hours", "saved CPU-hours", "saved GPU-hours"):
        table.add_column(head, justify="right")
    for kind, expense in {**account, "all": total_of(account)}.items():
        values = (expense.cpu_hours, expense.gpu_hours, expense.saved_cpu_hours, expense.saved_gpu_hours)
        table.add_row(kind, f"{expense.computed:,}", f"{expense.uses:,}", *map(hours, values))
    return table


def unknown_line(account: Mapping[str, Expense]) -> str | None:
    """How many stages do not tell their GPUs, in one line; None if all do."""
    unknown = total_of(account).unknown
    return f"{counted(unknown, 'stage')} of an earlier version tell no GPUs; they count as none" if unknown else None


def expense_json(account: Mapping[str, Expense]) -> dict[str, Any]:
    """The account for JSON."""
    return {"kinds": {kind: vars(expense) for kind, expense in account.items()}, "all": vars(total_of(account))}
