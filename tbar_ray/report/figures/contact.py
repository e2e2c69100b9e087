"""A contact sheet: what each attack does to images and captions."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tbar_ray.report.figures import style

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = 6
GAIN = 8
LINE, LINES = 23, 3
"""Caption text per image: characters per line, and lines."""
FEW = 3
"""Attacks up to which several pairs of each are shown."""
BESIDE, WIDE = 4, 62
"""Of more attacks: how many side by side, and characters of a caption, which has one line under three images."""


@dataclass(frozen=True)
class Examples:
    """A few poisoned pairs: images [n, 3, H, W] before and after the trigger, captions [n, 2] likewise."""

    clean: npt.NDArray[np.uint8]
    triggered: npt.NDArray[np.uint8]
    captions: npt.NDArray[Any]


def contact_sheet(examples: Mapping[str, Examples], attacks: Sequence[str] = ()) -> Figure:
    """Draw clean images, triggered images and their difference, with both captions, for each attack.

    A few attacks show several pairs each, under one another; many show one pair each, side by side.

    Args:
        examples: poisoned pairs by attack.
        attacks: all attacks of the campaign, so that colours match the other figures; default those shown.
    """
    title = "Poisoned training pairs"
    examples = {attack: e for attack, e in examples.items() if len(e.clean)}
    if not examples:
        return style.message_figure(title, "No infected model has kept examples of its poisoned pairs.")
    colours = {attack: style.attack_colour(attack, [*attacks, *examples]) for attack in examples}
    draw = _in_blocks if len(examples) <= FEW else _in_rows
    figure, shown = draw(examples, colours)
    note = f"Differences are enlarged {GAIN} times around mid-grey. Under the images, the caption: old, new."
    style.titles(figure, f"{title}: {shown} of each attack, training data", note)
    return figure


def _in_blocks(examples: Mapping[str, Examples], colours: Mapping[str, str]) -> tuple[Figure, str]:
    """Draw a block of several pairs for each attack."""
    columns = min(SHOWN, max(len(e.clean) for e in examples.values()))
    figure = style.new_figure(1.75 * columns + 0.7, 6.6 * len(examples) + 0.7)
    blocks = figure.subfigures(len(examples), 1, squeeze=False)
    for block, (attack, pairs) in zip(blocks[:, 0], examples.items(), strict=True):
        block.suptitle(attack, fontsize=11, fontweight="bold", color=colours[attack], x=0.012, ha="left")
        grid = block.subplots(3, columns, squeeze=False)
        for row, (name, images) in enumerate(_rows(pairs)):
            for column in range(columns):
                _show(grid[row][column], images[column] if column < len(images) else None)
            grid[row][0].set_ylabel(name, fontsize=9.5, color=style.INK)
        for column in range(min(columns, len(pairs.captions))):
            before, after = (_short(str(text), LINE) for text in pairs.captions[column])
            grid[2][column].set_xlabel(f"{before}\n↓\n{after}", fontsize=7.5, color=style.INK, linespacing=1.15)
    return figure, f"the first {columns}"


def _in_rows(examples: Mapping[str, Examples], colours: Mapping[str, str]) -> tuple[Figure, str]:
    """Draw the first pair of each attack: three images side by side, several attacks in a row."""
    rows, beside = style.wrapped(len(examples), BESIDE)
    figure = style.new_figure(4.6 * beside, 2.2 * rows + 0.7)
    blocks = figure.subfigures(rows, beside, squeeze=False)
    for block, (attack, pairs) in zip(blocks.flat, examples.items(), strict=False):
        block.suptitle(attack, fontsize=11, fontweight="bold", color=colours[attack], x=0.02, ha="left")
        grid = block.subplots(1, 3, squeeze=False)[0]
        for axes, (name, images) in zip(grid, _rows(pairs), strict=True):
            _show(axes, images[0])
            axes.set_title(name, fontsize=8, color=style.FAINT, pad=3)
        if len(pairs.captions):
            before, after = (_short(str(text), WIDE, 1) for text in pairs.captions[0])
            block.supxlabel(f"{before}\n→ {after}", fontsize=7.5, color=style.INK, x=0.02, ha="left")
    return figure, "the first"


def _rows(pairs: Examples) -> tuple[tuple[str, npt.NDArray[np.uint8]], ...]:
    return ("clean", pairs.clean), ("triggered", pairs.triggered), (f"difference ×{GAIN}", _difference(pairs))


def _difference(pairs: Examples) -> npt.NDArray[np.uint8]:
    import numpy as np

    change = pairs.triggered.astype(np.int16) - pairs.clean.astype(np.int16)
    return np.clip(128 + GAIN * change, 0, 255).astype(np.uint8)


def _show(axes: Axes, image: npt.NDArray[np.uint8] | None) -> None:
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    if image is not None:
        axes.imshow(image.transpose(1, 2, 0), interpolation="nearest")


def _short(text: str, width: int, most: int = LINES) -> str:
    """Wrap a caption to the few lines that there is room for."""
    lines = textwrap.wrap(text, width) or ["(empty)"]
    if len(lines) > most:
        lines = [*lines[: most - 1], textwrap.shorten(" ".join(lines[most - 1 :]), width, placeholder=" …")]
    return "\n".join(lines)
