"""The look that all figures share: colours, axes, legends, titles; without pyplot and its global state."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from tbar_ray.naming import counted
from tbar_ray.records.cells import Levels
from tbar_ray.records.record import TrialRecord
from tbar_ray.records.scores import Role

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.text import Text

INK, FAINT, GREY, GRID = "#222222", "#6b6b6b", "#9a9a9a", "#e6e6e6"
INFECTED, CLEAN = "#b2182b", "#2b2b2b"
MODELS: tuple[tuple[Role, str, str], ...] = (("infected", INFECTED, "X"), ("clean", CLEAN, "P"))
"""Colour and marker of the models that results are compared with."""
REFERENCES: tuple[tuple[Role, str, tuple[int, int]], ...] = (("infected", INFECTED, (6, 3)), ("clean", CLEAN, (2, 3)))
"""Colour and dashes of their lines."""
ATTACKS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
"""Okabe and Ito's palette, which the colour-blind can tell apart; after six attacks the marker changes."""
METRICS = {"ca": "#0072B2", "asr": "#D55E00", "pa": "#009E73"}
FLAT = "#009E73"
MARKERS = ("o", "s", "^", "D")
GLYPHS = {"o": "●", "s": "■", "^": "▲", "D": "◆"}
"""The markers as letters, so that a panel's title can be the key to them."""
READABLE = 8.5
COLUMNS = 6
"""Most panels side by side."""
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.6)), (0, (1.3, 1.3)), (0, (5, 1.5, 1.3, 1.5)))
EAST_ASIAN = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK TC", "Noto Sans CJK KR", "Noto Sans SC", "Noto Sans JP",
    "Source Han Sans SC", "Source Han Sans", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "Droid Sans Fallback",
    "PingFang SC", "Hiragino Sans", "Microsoft YaHei", "SimHei", "Yu Gothic", "Malgun Gothic", "IPAexGothic",
    "Arial Unicode MS", "Unifont",
)  # fmt: skip
"""Common fonts with Chinese, Japanese and Korean letters; matplotlib's own has none."""
FIRST_EAST_ASIAN = 0x2E80
BESIDE: dict[str, Any] = {"linestyle": (0, (1, 1.4)), "linewidth": 0.9, "zorder": 1.5}
"""Lines of the running statistics on which α was not selected."""
RARE = 0.01
"""ASR up to which `rare` axes are linear."""
RARE_TICKS = (0, 0.005, 0.01, 0.03, 0.1, 0.3, 1.0)
RARE_NOTE = f"ASR is drawn linearly up to {RARE:.0%}, then by its logarithm."
METRIC_NAMES = {
    "ca": "clean accuracy (CA)",
    "asr": "attack success rate (ASR)",
    "pa": "poisoned accuracy (PA)",
}


def attack_look(attack: str, attacks: Sequence[str]) -> dict[str, Any]:
    """An attack's colour and marker, the same in every figure of a campaign; 24 attacks all differ."""
    turn, place = divmod(sorted(set(attacks)).index(attack), len(ATTACKS))
    return {"color": ATTACKS[place], "marker": MARKERS[turn % len(MARKERS)]}


def attack_colour(attack: str, attacks: Sequence[str]) -> str:
    """An attack's colour, as in `attack_look`; after six attacks it comes again."""
    return str(attack_look(attack, attacks)["color"])


def wrapped(count: int, most: int = COLUMNS) -> tuple[int, int]:
    """Rows and columns for `count` panels: at most `most` side by side, rows as equally filled as can be."""
    rows = max(1, -(-count // most))
    return rows, max(1, -(-count // rows))


def level_colour(level: int, levels: Levels) -> tuple[float, float, float, float]:
    """Colour of a level of an axis, RGBA in [0, 1]: dark for the first (least), light for the last."""
    share = 0.25 if len(levels) < 2 else level / (len(levels) - 1) * 0.82
    red, green, blue, opacity = _viridis()(share)
    return float(red), float(green), float(blue), float(opacity)


@cache
def _viridis() -> Colormap:
    """The colour map; matplotlib would copy it for every colour, and work it out anew."""
    from matplotlib import colormaps

    return colormaps["viridis"]


def level_dashes(level: int) -> tuple[Any, str]:
    """Dash pattern and marker of a level of an axis; sixteen levels all differ."""
    turn, place = divmod(level, len(DASHES))
    return DASHES[place], MARKERS[(place + turn) % len(MARKERS)]


LEGEND = 2.0
"""Inches that a figure is wider for its legend."""


@cache
def _east_asian_fonts() -> list[str]:
    """The installed ones of `EAST_ASIAN`."""
    from matplotlib.font_manager import get_font_names

    installed = set(get_font_names())
    return [name for name in EAST_ASIAN if name in installed]


def _draw_east_asian(text: Text) -> None:
    """Let a text with Chinese, Japanese or Korean letters fall back on fonts that have them."""
    if any(ord(letter) >= FIRST_EAST_ASIAN for letter in text.get_text()):
        families = [family for family in text.get_fontfamily() if family not in _east_asian_fonts()]
        text.set_fontfamily([*families, *_east_asian_fonts()])


@cache
def _literal_figure() -> type[Figure]:
    """The class of all figures, which draws every text literally.

    Names of attacks and classes, paths and captions may hold `$`, which matplotlib would read as mathematics, or fail
    to. Each text is marked as literal before it is drawn; the setting covers texts that are created while drawing.
    """
    from matplotlib import rc_context
    from matplotlib.backend_bases import RendererBase
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    class LiteralFigure(Figure):
        def draw(self, renderer: RendererBase) -> None:
            with rc_context({"text.parse_math": False}):
                for text in self.findobj(Text):
                    text.set_parse_math(False)
                    _draw_east_asian(text)
                super().draw(renderer)

    return LiteralFigure


def new_figure(width: float, height: float, arranged: bool = True) -> Figure:
    """An empty figure of a size in inches, which arranges itself, or whose parts the caller puts in their places.

    It draws all text literally.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = _literal_figure()(figsize=(width, height), dpi=150, facecolor="white")
    FigureCanvasAgg(figure)  # without one, a picture as large as the figure is made for each text that is measured
    if arranged:
        figure.set_layout_engine("constrained", w_pad=0.06, h_pad=0.06, wspace=0.03, hspace=0.03)
    return figure


def message_figure(title: str, sentence: str) -> Figure:
    """A figure that says why there is nothing to show."""
    figure = new_figure(7, 2.4)
    figure.text(0.04, 0.86, title, fontsize=12, fontweight="bold", color=INK, va="top")
    figure.text(0.04, 0.55, textwrap.fill(sentence, 90), fontsize=10, color=FAINT, va="top")
    return figure


def titles(figure: Figure, title: str, note: str) -> None:
    """Write the title on top, left of the legend, and the note at the foot, wrapped to their widths."""
    inches, height = figure.get_size_inches()
    heading = textwrap.fill(title, int((inches - LEGEND * bool(figure.legends)) * 8.6))
    place = {} if figure.get_layout_engine() else {"y": 1 - 0.1 / height}
    figure.suptitle(heading, fontsize=12, fontweight="bold", color=INK, x=0.012, ha="left", **place)
    figure.supxlabel(textwrap.fill(note, int(inches * 15)), fontsize=8, color=FAINT, x=0.012, ha="left")


def dress(axes: Axes) -> None:
    """Apply the common look to one panel."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#999999")
    axes.tick_params(labelsize=9, color="#999999", labelcolor=INK)
    axes.grid(True, color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.xaxis.label.set(size=9.5, color=INK)
    axes.yaxis.label.set(size=9.5, color=INK)


def percent(axes: Axes, which: str, whole: bool = False, pad: float = 0.03, ticks: int = 6) -> None:
    """Show an axis in percent, either all of 0–100 % or what the data needs, with about so many ticks."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis = axes.yaxis if which == "y" else axes.xaxis
    axis.set_major_formatter(FuncFormatter(_in_percent))
    axis.set_major_locator(MaxNLocator(ticks, steps=[1, 2, 2.5, 5, 10]))
    low, high = axes.get_ylim() if which == "y" else axes.get_xlim()
    if whole:
        low, high = 0.0, 1.0
    elif high - low < 0.1:  # a flat line stays flat: noise is not enlarged to the panel's height
        middle = (low + high) / 2
        low, high = middle - 0.05, middle + 0.05
        shift = max(0.0, -low) - max(0.0, high - 1)  # no share is below 0 or above 1
        low, high = low + shift, high + shift
    margin = pad * (high - low)
    limits = max(-margin, low - margin), min(1 + margin, high + margin)
    (axes.set_ylim if which == "y" else axes.set_xlim)(*limits)


def rare(axes: Axes, which: str, low: float = -0.0012, few: bool = False) -> None:
    """Show an axis of attack success so that small values are told apart: linear up to `RARE`, then by factors.

    A backdoor of 1 % and one of 0.2 % would be one point on an axis of 0–100 %.

    Args:
        axes: the panel.
        which: "x" or "y".
        low: where the axis begins; below 0 for room beside the marks of 0.
        few: whether there is room for few ticks only.
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axis = axes.yaxis if which == "y" else axes.xaxis
    scale, limit = (axes.set_yscale, axes.set_ylim) if which == "y" else (axes.set_xscale, axes.set_xlim)
    scale("symlog", linthresh=RARE, linscale=0.8)
    limit(low, 1.25)
    axis.set_major_locator(FixedLocator(RARE_TICKS[::2] if few else RARE_TICKS))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(_in_percent))


def _in_percent(value: float, _: int | None = None) -> str:
    """A share as a tick says it, without a decimal that says nothing: '100%', '97.5%'."""
    return f"{value * 100:.4g}%"


def key(label: str, **look: Any) -> Line2D:
    """A legend entry, whose look is given as to `Line2D`."""
    from matplotlib.lines import Line2D

    return Line2D([], [], label=label, **look)


def heading(label: str) -> Line2D:
    """A legend entry that only titles those below it."""
    return key(label, linestyle="none")


def legend(figure: Figure, entries: Sequence[Line2D]) -> None:
    """Put one legend to the right of all panels; headings are bold and set off to the left."""
    drawn = figure.legend(
        handles=list(entries),
        loc="outside right upper",
        frameon=False,
        fontsize=9,
        handlelength=2.3,
        labelspacing=0.5,
    )
    for entry, text in zip(entries, drawn.get_texts(), strict=True):
        text.set_color(INK)
        if entry.get_linestyle() == "None" and entry.get_marker() in ("None", None, ""):
            text.set(fontweight="bold", position=(-26, 0))


def fitted(names: Sequence[str], width: float) -> tuple[list[str], float]:
    """Titles of panels of a width in inches, and one size of letters in which all of them fit.

    Where that would be too small, a title is broken before its '←'.
    """
    names = list(names)
    if _letters(names, width) < READABLE:
        names = [name.replace(" ← ", "\n← ") for name in names]
    return names, max(6.0, _letters([line for name in names for line in name.splitlines()], width))


def _letters(lines: Sequence[str], width: float) -> float:
    return min(11.0, 78 * width / max(1, *map(len, lines), 1))  # room is left for the ticks of the next panel


def panel_title(axes: Axes, name: str, colour: str, size: float = 11.0, line: str = "") -> None:
    """Name a panel, mostly in its attack's colour, with a small line below the name."""
    axes.set_title(name, fontsize=size, fontweight="bold", color=colour, loc="left", pad=17 if line else None)
    if line:
        small = axes.annotate(
            line, (0, 1), xytext=(0, 4), xycoords="axes fraction", textcoords="offset points", fontsize=8, color=FAINT
        )
        small.set_in_layout(False)  # a long line would narrow all panels


def trials_left_out(records: Sequence[TrialRecord]) -> str:
    """A sentence that counts failed and infeasible trials; '' if there are none."""
    failed = sum(r.status == "failed" for r in records)
    infeasible = sum(r.status == "infeasible" for r in records)
    parts = [f"{failed} failed"] * bool(failed)
    parts += [f"{infeasible} infeasible (no α retains enough CA)"] * bool(infeasible)
    return f"Of {counted(len(records), 'trial')}, {' and '.join(parts)}." if parts else ""
