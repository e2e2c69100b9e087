"""The table of results, printed so that no number is cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.measure import Measurement

if TYPE_CHECKING:
    from tbar_ray.records.record import TrialRecord


def print_results(console: Console, records: Sequence[TrialRecord]) -> None:
    """Print the results of trials; where a terminal is too narrow for the numbers, its lines run over."""
    from tbar_ray.report.terminal import WIDTH, result_table

    table = result_table(records, marked=console.color_system is None, width=min(WIDTH, console.width))
    needed = Measurement.get(console, console.options.update(max_width=10 * WIDTH), table).minimum
    console.print(table, width=max(console.width, needed), crop=False)
