"""A sheet of triggers: what each does to a few images, pixel for pixel."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tbar_ray.errors import SpecError
from tbar_ray.report.figures import style
from tbar_ray.report.figures.contact import GAIN

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from matplotlib.figure import Figure

    from tbar_ray.triggers.preview import Preview

    Pixels = npt.NDArray[np.uint8]

DPI = 100
"""Text is sized in points, everything else in pixels of the sheet."""
PANEL = 160
"""Least side of a panel: smaller images are enlarged by a whole number, so that single pixels stay single."""
SHEET = 2200
"""Width that blocks side by side fill; a single block may be wider."""
LARGEST = 2**16 - 1
"""Pixels that the renderer can draw in one direction."""
MARGIN, GAP, LABEL, NARROWEST = 16, 4, 18, 340
"""The last is the least width of a block, which names need."""
TOP, FOOT = 38, 34
TITLE, LINE, DETAIL_LINES, CAPTION = 20, 14, 2, 17
"""Heights in a block's head: the trigger's name, its detail (several lines), what is above each image."""


def preview_sheet(previews: Sequence[Preview]) -> Figure:
    """Draw a block for each trigger, with clean images, changed images and their difference under one another.

    No pixel is interpolated: images are shown as they are, or enlarged by a whole number.

    Args:
        previews: at least one; all of the same number of images of one size.

    Raises:
        SpecError: the sheet would be too large to draw.
    """
    count, _, rows, columns = previews[0].clean.shape
    layout = _Layout(len(previews), count, rows, columns)
    sheet = _Sheet(*layout.size)
    enlarged = f", enlarged {layout.zoom} times" if layout.zoom > 1 else ""
    sheet.text(MARGIN, 10, f"Images of {columns} × {rows} px{enlarged}", 11, bold=True)
    for index, preview in enumerate(previews):
        _draw_block(sheet, layout, index, preview)
    note = f"Above images: largest and mean change, of 255. Differences are {GAIN} times enlarged, around mid-grey."
    sheet.text(MARGIN, layout.size[1] - FOOT + 2, note, 8, colour=style.FAINT, lines=2)
    return sheet.finished()


@dataclass(frozen=True)
class _Layout:
    """Positions, in pixels from the sheet's top left corner."""

    blocks: int
    images: int
    rows: int
    columns: int

    def __post_init__(self) -> None:
        width, height = self.size
        if max(width, height) > LARGEST:
            raise SpecError(
                f"a sheet of {self.blocks} × {self.images} images of {self.columns} × {self.rows} px would be "
                f"{width} × {height} px; preview fewer triggers, fewer images or a smaller size"
            )

    @property
    def zoom(self) -> int:
        return max(1, math.ceil(PANEL / min(self.rows, self.columns)))

    @property
    def panel(self) -> tuple[int, int]:
        """Width and height of one image."""
        return self.columns * self.zoom, self.rows * self.zoom

    @property
    def block(self) -> tuple[int, int]:
        """Width and height of one trigger's images and head."""
        width, height = self.panel
        return max(NARROWEST, LABEL + self.images * (width + GAP)), self.head + 3 * (height + GAP)

    @property
    def head(self) -> int:
        return TITLE + LINE * DETAIL_LINES + CAPTION

    @property
    def across(self) -> int:
        return min(self.blocks, max(1, (SHEET - MARGIN) // (self.block[0] + MARGIN)))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the sheet."""
        width, height = self.block
        down = math.ceil(self.blocks / self.across)
        return MARGIN + self.across * (width + MARGIN), TOP + down * (height + MARGIN) + FOOT

    def corner(self, index: int) -> tuple[int, int]:
        """Left and top of a block, in pixels of the sheet."""
        width, height = self.block
        return MARGIN + index % self.across * (width + MARGIN), TOP + index // self.across * (height + MARGIN)


class _Sheet:
    """A figure whose pixels are set one by one, with text on top."""

    def __init__(self, width: int, height: int) -> None:
        import numpy as np
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self.width, self.height = width, height
        self.figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")
        self.renderer = FigureCanvasAgg(self.figure).get_renderer()  # type: ignore[no-untyped-call]
        self.pixels = np.full((height, width, 3), 255, np.uint8)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: float,
        colour: str = style.INK,
        bold: bool = False,
        width: int | None = None,
        lines: int = 1,
    ) -> None:
        """Write below and to the right of a position, in lines of at most `width`; what does not fit ends in '…'."""
        weight = "bold" if bold else "normal"
        fitting = self._fit(text, width or self.width - 2 * MARGIN, size, weight, lines)
        for line, part in enumerate(fitting):
            self._write(x, y + line * LINE, part, fontsize=size, fontweight=weight, color=colour, va="top")

    def upright(self, x: float, y: float, text: str, size: float) -> None:
        """Write from bottom to top, around a height."""
        self._write(x, y, text, fontsize=size, color=style.INK, va="center", rotation=90)

    def place(self, x: int, y: int, image: Pixels, zoom: int) -> None:
        """Put an image [3, H, W] with its top left corner at a position."""
        large = image.transpose(1, 2, 0).repeat(zoom, axis=0).repeat(zoom, axis=1)
        self.pixels[y : y + large.shape[0], x : x + large.shape[1]] = large

    def finished(self) -> Figure:
        self.figure.figimage(self.pixels, zorder=-1)
        return self.figure

    def _write(self, x: float, y: float, text: str, **look: Any) -> None:
        self.figure.text(x / self.width, 1 - y / self.height, text, parse_math=False, **look)

    def _fit(self, text: str, width: int, size: float, weight: str, lines: int) -> list[str]:
        from matplotlib.font_manager import FontProperties

        font = FontProperties(size=size, weight=weight)

        def fitting(pieces: Sequence[str], joint: str, end: str = "") -> int:
            """How many pieces, joined and with `end` behind them, fit into a line; 0 if none does."""

            def too_wide(count: int) -> bool:
                line = joint.join(pieces[:count]) + end
                return float(self.renderer.get_text_width_height_descent(line, font, False)[0]) > width

            return bisect_left(range(1, len(pieces) + 1), True, key=too_wide)

        parts: list[str] = []
        words = text.split()
        while len(parts) < lines - 1 and (taken := fitting(words, " ")):
            parts.append(" ".join(words[:taken]))
            words = words[taken:]
        last = " ".join(words)
        if fitting(words, " ") < len(words):
            last = last[: fitting(last, "", "…")].rstrip() + "…"
        return [*parts, last]


def _draw_block(sheet: _Sheet, layout: _Layout, index: int, preview: Preview) -> None:
    import numpy as np

    left, top = layout.corner(index)
    width, height = layout.panel
    sheet.text(left, top, preview.title, 11, bold=True, width=layout.block[0])
    sheet.text(left, top + TITLE, preview.detail, 8, style.FAINT, width=layout.block[0], lines=DETAIL_LINES)
    clean, changed = preview.clean.numpy(), preview.changed.numpy()
    change = changed.astype(np.int16) - clean.astype(np.int16)
    difference = np.clip(128 + GAIN * change, 0, 255).astype(np.uint8)
    for column, one in enumerate(np.abs(change)):
        caption = f"largest {one.max()}, mean {one.mean():.3g}"
        sheet.text(left + LABEL + column * (width + GAP), top + layout.head - CAPTION + 2, caption, 8, width=width)
    for row, (name, images) in enumerate(
        (("clean", clean), (preview.role, changed), (f"difference ×{GAIN}", difference))
    ):
        y = top + layout.head + row * (height + GAP)
        sheet.upright(left, y + height / 2, name, 8)
        for column, image in enumerate(images):
            sheet.place(left + LABEL + column * (width + GAP), y, image, layout.zoom)
