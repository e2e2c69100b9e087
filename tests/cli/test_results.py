from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from tbar_ray.cli.results import print_results
from tests.records.records import grid, record


def printed(width: int, colours: str | None = None, **axes: object) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, color_system=colours, force_terminal=True)  # type: ignore[arg-type]
    print_results(console, [*grid(axes=axes), record("badnets", 20, fraction=0.25, axes=axes)])
    return out.getvalue()


@pytest.mark.parametrize("width", [80, 100, 160])
def test_a_table_fits_into_the_terminal_and_cuts_no_number(width: int) -> None:
    text = printed(width)
    assert max(map(len, text.splitlines())) <= width
    rows = [line for line in text.splitlines() if "→" in line and "badnets" in line]
    assert len(rows) == 5
    assert all(re.search(r"\d\.\d ?→ ?\d+\.\d( \(1\.2\))? .* \d+%$", row.rstrip()) for row in rows), rows
    assert text.count("*") == 3, "of each attack the best, and the line that says so"


def test_lines_run_over_before_a_number_is_cut() -> None:
    axes = {f"attacks.badnets.parameters.p{number}": 0.123456 + number for number in range(9)}
    many = [record(size=size, axes={name: value * size for name, value in axes.items()}) for size in (10, 20)]
    out = io.StringIO()
    print_results(Console(file=out, width=80, color_system=None), many)
    rows = [line for line in out.getvalue().splitlines() if "→" in line and "infected" not in line]
    assert max(map(len, rows)) > 80
    assert all(row.rstrip().endswith("%") for row in rows)


def test_the_best_are_bold_where_there_are_styles() -> None:
    text = printed(100, "standard")
    assert "\x1b[1m" in text
    assert "bold: the best of each attack on validation" in re.sub(r"\x1b\[[0-9;]*m", "", text)
