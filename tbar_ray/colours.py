"""Colours in a terminal, for backgrounds that are light or dark: nobody can ask a terminal which it has.

Sentences keep the terminal's own colour; words and numbers that say the same without it are coloured. Of the sixteen
colours yellow, cyan and the bright ones fade on white, and blue on black: none of them is used.
"""

from __future__ import annotations

from rich.text import Text

GOOD, WARNING, FAILURE = "green", "magenta", "red"


def warned(line: str) -> Text:
    """A line whose beginning, up to the first colon, has the colour of a warning: `warning: …`, `note: …`."""
    label, colon, rest = line.partition(": ")
    return Text.assemble((label, WARNING), f"{colon}{rest}") if colon else Text(line)
