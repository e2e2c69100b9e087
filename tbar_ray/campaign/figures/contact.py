"""A contact sheet: what each attack does to images and captions."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tbar_ray.campaign.figures import style

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = 6
GAIN = 8
LINE, LINES = 23, 3
"""Caption text per image: characters per line, and lines."""


@dataclass(frozen=True)
class Examples:
    """A few poisoned pairs: images [n, 3, H, W] before and after the trigger, captions [n, 2] likewise."""

    clean: npt.NDArray[np.uint8]
    triggered: npt.NDArray[np.uint8]
    captions: npt.NDArray[Any]


def contact_sheet(examples: Mapping[str, Examples], attacks: Sequence[str] = ()) -> Figure:
    """Draw, for each attack, clean images, triggered images and their difference, with both captions.

    Args:
        examples: poisoned pairs by attack.
        attacks: all attacks of the campaign, so that colours match the other figures; default those shown.
    """
    title = "Poisoned training pairs"
    examples = {attack: e for attack, e in examples.items() if len(e.clean)}
    if not examples:
        return style.message_figure(title, "No infected model has kept examples of its poisoned pairs.")
    columns = min(SHOWN, max(len(e.clean) for e in examples.values()))
    figure = style.new_figure(1.75 * columns + 0.7, 6.6 * len(examples) + 0.7)
    blocks = figure.subfigures(len(examples), 1, squeeze=False)
    for block, (attack, pairs) in zip(blocks[:, 0], examples.items(), strict=True):
        colour = style.attack_colour(attack, [*attacks, *examples])
        block.suptitle(attack, fontsize=11, fontweight="bold", color=colour, x=0.012, ha="left")
        grid = block.subplots(3, columns, squeeze=False)
        rows = (
            ("clean", pairs.clean),
            ("triggered", pairs.triggered),
            (f"difference ×{GAIN}", _difference(pairs)),
        )
        for row, (name, images) in enumerate(rows):
            for column in range(columns):
                _show(grid[row][column], images[column] if column < len(images) else None)
            grid[row][0].set_ylabel(name, fontsize=9.5, color=style.INK)
        for column in range(min(columns, len(pairs.captions))):
            before, after = (str(text) for text in pairs.captions[column])
            label = f"{_short(before)}\n↓\n{_short(after)}"
            grid[2][column].set_xlabel(label, fontsize=7.5, color=style.INK, linespacing=1.15)
    note = f"Differences are enlarged {GAIN} times around mid-grey. Under each image, its caption: old, new."
    style.titles(figure, f"{title}: first {columns} of each attack, training data", note)
    return figure


def _difference(pairs: Examples) -> npt.NDArray[np.uint8]:
    import numpy as np

    change = pairs.triggered.astype(np.int16) - pairs.clean.astype(np.int16)
    return np.clip(128 + GAIN * change, 0, 255).astype(np.uint8)


def _show(axes: Axes, image: npt.NDArray[np.uint8] | None) -> None:
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    if image is not None:
        axes.imshow(image.transpose(1, 2, 0), interpolation="nearest")


def _short(text: str) -> str:
    """Wrap a caption to the few lines that fit under an image; mathtext signs are taken literally."""
    lines = textwrap.wrap(text.replace("$", r"\$"), LINE) or ["(empty)"]
    if len(lines) > LINES:
        lines = [*lines[: LINES - 1], textwrap.shorten(" ".join(lines[LINES - 1 :]), LINE, placeholder=" …")]
    return "\n".join(lines)
