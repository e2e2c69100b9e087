from __future__ import annotations

from tbar_ray.report.losses import SHOWN, losses_lines, losses_section, lost_of
from tests.records.records import record

LOST = tuple(f"test/0.tar: s{number}: unreadable image" for number in range(SHOWN + 2))


def test_nothing_is_said_where_nothing_was_lost() -> None:
    assert (losses_section([record()]), losses_lines([record()])) == ("", [])


def test_every_loss_is_named_once_in_the_report() -> None:
    records = [record(lost=LOST[:2]), record(lost=LOST)]
    assert lost_of(records) == list(LOST)
    text = losses_section(records)
    assert text.startswith("## Data that could not be read")
    assert [line for line in text.splitlines() if line.startswith("- ")] == [f"- {line}" for line in LOST]


def test_a_terminal_names_the_first_and_counts_the_rest() -> None:
    *named, rest = losses_lines([record(lost=LOST)])
    assert named == [f"could not be read, and left out: {line}" for line in LOST[:SHOWN]]
    assert rest == "and 2 more: see the report"
    assert len(losses_lines([record(lost=LOST[:SHOWN])])) == SHOWN


def test_names_in_losses_are_no_markup() -> None:
    assert "<img" not in losses_section([record(lost=("x.tar: <img src=http://h/x>: cut",))])
