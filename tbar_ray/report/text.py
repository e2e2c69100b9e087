"""Markdown building blocks, and how values are written in a report.

Text is escaped unless it is `Markdown`, so that nothing a user named (a class, an attack, a file) acts as Markdown or
HTML in a report.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tbar_ray.records.scores import RateRecord, ScoresRecord

_ENTITY = re.compile(r"&(?=#?\w+;)")
_ACTIVE = re.compile(
    r"[\\`|*~$]"  # escapes, code, columns, emphasis, mathematics
    r"|(?<![^\W_])_|_(?![^\W_])"  # emphasis: not an underscore between letters
    r"|!(?=\[)|\](?=[(\[:])"  # images, links and their definitions: not an interval in brackets
)
_BLOCK = re.compile(r"^\s*(?=[#=+-])", re.MULTILINE)


class Markdown(str):
    """Text that is Markdown already. What is interpolated into it must be escaped."""

    __slots__ = ()


def escape(text: str) -> Markdown:
    """A text as Markdown that shows it literally; `Markdown` is returned unchanged."""
    if isinstance(text, Markdown):
        return text
    safe = _ENTITY.sub("&amp;", text).replace("<", "&lt;").replace(">", "&gt;")
    return Markdown(_ACTIVE.sub(lambda found: f"\\{found[0]}", safe))


def paragraphs(text: str) -> Markdown:
    """A text of several lines as Markdown that shows it literally, without headings and lists."""
    return Markdown(_BLOCK.sub(r"\\", escape(text.strip())))


def bold(text: str) -> Markdown:
    """A text in bold Markdown, escaped."""
    return Markdown(f"**{escape(text)}**")


def code(text: str) -> Markdown:
    """A text as code, on one line; its fence is longer than any run of backticks in it."""
    text = " ".join(text.split())
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    pad = " " if "`" in text else ""
    return Markdown(f"{fence}{pad}{text}{pad}{fence}")


def rate(found: RateRecord | None) -> str:
    """A rate with its interval in percent, '–' where it is unknown."""
    return share(None) if found is None else with_interval(found.value, found.low, found.high)


def with_interval(value: float | None, low: float | None, high: float | None) -> str:
    """A share with its interval in percent, without one where there is none, '–' where it is unknown."""
    if value is None or low is None or high is None:
        return share(value)
    return f"{value:.1%} [{low * 100:.1f}, {high * 100:.1f}]"


def share(value: float | None) -> str:
    """A share in percent, with one decimal; '–' where it is unknown."""
    return "–" if value is None else f"{value:.1%}"


def points(change: float, low: float | None = None, high: float | None = None) -> str:
    """A change of a share in points, with its interval where there is one: '+1.3 [+0.8, +2.0]'; never '-0.0'."""
    told = f"{change * 100:+z.1f}"
    return told if low is None or high is None else f"{told} [{low * 100:+z.1f}, {high * 100:+z.1f}]"


def three_scores(scores: ScoresRecord | None) -> str:
    """CA / ASR / PA in percent, each with one decimal; '–' where one or all are unknown."""
    if scores is None:
        return "–"
    found = (scores.rate(metric).value for metric in ("ca", "asr", "pa"))
    return " / ".join("–" if value is None else f"{value * 100:.1f}" for value in found)


def bullets(lines: Iterable[str]) -> Markdown:
    """A Markdown list, one line an item, escaped."""
    return Markdown("\n".join(f"- {_line(line)}" for line in lines))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Markdown:
    """A Markdown table, one line a row; cells are escaped."""

    def row(cells: Sequence[str]) -> str:
        return f"| {' | '.join(_line(cell) for cell in cells)} |"

    return Markdown("\n".join([row(head), row(["---"] * len(head)), *(row(cells) for cells in rows)]))


def section(title: str, *parts: Markdown | str) -> Markdown:
    """A section of Markdown parts, or '' if its last part, the content, is empty."""
    return Markdown("\n\n".join([f"## {_line(title)}", *(part for part in parts if part)]) if parts[-1] else "")


def _line(text: str) -> str:
    return " ".join(escape(text).split())
