"""Colours of a terminal: none that fades on a light or on a dark background."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.color import Color
from rich.console import Console

import tbar_ray
from tbar_ray.colours import FAILURE, GOOD, WARNING, warned

XTERM = ((0, 0, 0), (205, 0, 0), (0, 205, 0), (205, 205, 0), (0, 0, 238), (205, 0, 205), (0, 205, 205), (229, 229, 229))
"""Red, green and blue of the eight colours of xterm, whose palette is the least readable of the usual ones."""
LEAST = 2.0
"""Contrast that a word of the terminal's own weight needs; WCAG asks 4.5 of a sentence's."""


def luminance(colour: tuple[int, int, int]) -> float:
    """Relative luminance in [0, 1], as WCAG 2 defines it."""
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("name", [GOOD, WARNING, FAILURE])
@pytest.mark.parametrize("background", [(255, 255, 255), (0, 0, 0)])
def test_a_coloured_word_is_read_on_white_and_on_black(name: str, background: tuple[int, int, int]) -> None:
    number = Color.parse(name).number
    assert number is not None
    assert contrast(XTERM[number], background) >= LEAST


def test_a_warning_s_sentence_has_the_terminal_s_own_colour() -> None:
    out = io.StringIO()
    Console(file=out, force_terminal=True, color_system="standard", width=60).print(warned("note: left out: 3"))
    assert out.getvalue() == "\x1b[35mnote\x1b[0m: left out: 3\n"
    assert warned("and 3 more").spans == []


def test_no_colour_that_fades_is_a_style_anywhere() -> None:
    fading = re.compile(r"""["'](?:bold |dim )?(?:bright_\w+|yellow|cyan|blue)["']""")
    package = Path(tbar_ray.__file__).parent
    others = [package / "data" / "synthetic", package / "report" / "figures"]  # colours of scenes and of figures
    for file in package.rglob("*.py"):
        if not any(file.is_relative_to(folder) for folder in others):
            assert not fading.findall(file.read_text()), file
