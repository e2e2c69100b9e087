"""What could not be read of a campaign's data: nothing that is missing from a result goes unsaid."""

from __future__ import annotations

from collections.abc import Sequence

from tbar_ray.records.record import TrialRecord
from tbar_ray.report.text import Markdown, bullets, section

SHOWN = 5
"""Losses that a terminal names; the report names all that the records have."""


def lost_of(records: Sequence[TrialRecord]) -> list[str]:
    """What the trials' data lost, each once: shard, sample and reason."""
    return list(dict.fromkeys(line for record in records for line in record.lost))


def losses_section(records: Sequence[TrialRecord]) -> Markdown:
    """The section on what could not be read; '' if all was."""
    note = "Left out of all scores or trainings below whose data hold it (`data.on_error: error` ends them instead):"
    lost = lost_of(records)
    return section("Data that could not be read", Markdown(note), bullets(lost)) if lost else Markdown("")


def losses_lines(records: Sequence[TrialRecord]) -> list[str]:
    """The first losses as lines for a terminal, and how many more there are; none if all was read."""
    lost = lost_of(records)
    lines = [f"could not be read, and left out: {line}" for line in lost[:SHOWN]]
    return lines + [f"and {len(lost) - SHOWN} more: see the report"] * (len(lost) > SHOWN)
