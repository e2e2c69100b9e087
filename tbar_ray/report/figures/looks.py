"""How lines of a panel look: the axes that tell them apart give colour, dash and marker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tbar_ray.planning.axes import ALIASES, Factor
from tbar_ray.records.cells import PANEL, Curve, Levels, grouped, panel_of, varies, varies_within, varying
from tbar_ray.records.record import TrialRecord
from tbar_ray.report.figures import style

if TYPE_CHECKING:
    from matplotlib.lines import Line2D

USUAL = tuple(ALIASES[name].factor for name in ("forget_size", "clean_fraction"))
"""The two axes that every campaign has; they keep colour and dash where no other axis varies."""
MOST_COLOURS, MOST_DASHES = 6, 4
"""Numbers that stay distinct; more of them share a range."""


@dataclass(frozen=True)
class Look:
    """The colour, dash pattern and marker of a line."""

    colour: Any
    dashes: Any
    marker: str


UNSET = Look(style.FAINT, style.DASHES[0], "*")
"""Of a trial that has no such axis, as one of a method without the parameter."""


def factors_within(records: Sequence[TrialRecord]) -> list[Factor]:
    """Axes that tell the lines of an attack apart, in the order of tables; seeds share a look.

    That some panels lack an axis, as methods do without the parameter, does not make it vary.
    """
    panels = list(grouped(records, panel_of).values())
    return [
        factor
        for factor in varying(records, without=(*PANEL, "seed"))
        if varies_within([r for r in records if r.setting(factor.name) is not None], factor.name)
        or any(varies(members, factor.name) for members in panels)
    ]


def factors_drawn(records: Sequence[TrialRecord]) -> list[Factor]:
    """Axes to which looks are given: those of `factors_within`, or the usual two if no other varies."""
    found = factors_within(records)
    return list(USUAL) if {f.name for f in found} <= {f.name for f in USUAL} else found


def levels_of(records: Sequence[TrialRecord], factor: Factor, most: int) -> Levels:
    """Levels of an axis among the trials that have it, of which at most `most` stay distinct."""
    return Levels([r for r in records if r.setting(factor.name) is not None], factor, most)


class Looks:
    """Looks of the lines of some trials: colour by the first of `factors_drawn`, dash and marker by the second.

    Args:
        shown: all trials of the figure.
    """

    def __init__(self, shown: Sequence[TrialRecord]) -> None:
        factors = factors_drawn(shown)
        self._colours = levels_of(shown, factors[0], MOST_COLOURS)
        self._dashes = levels_of(shown, factors[1], MOST_DASHES) if len(factors) > 1 else None
        self._alike = factors[2:]
        self._unset = [any(r.setting(factor.name) is None for r in shown) for factor in factors[:2]]

    def of(self, line: Curve | TrialRecord) -> Look:
        """Look of a curve or of a trial's mark, by its values of the two axes that have looks."""
        value = line.setting(self._colours.factor.name)
        colour: Any = UNSET.colour
        if value is not None:
            colour = style.level_colour(self._colours.index(value), self._colours)
        if self._dashes is None:
            return Look(colour, *style.level_dashes(0))
        value = line.setting(self._dashes.factor.name)
        if value is None:
            return Look(colour, UNSET.dashes, UNSET.marker)
        return Look(colour, *style.level_dashes(self._dashes.index(value)))

    def entries(self) -> list[Line2D]:
        """Entries of the legend: a heading and the levels, for colours and then for dashes, where there are several."""
        colours = [
            style.key(label, color=style.level_colour(i, self._colours), linewidth=2.4)
            for i, label in enumerate(self._colours.labels)
        ]
        if self._unset[0]:
            colours.append(style.key(self._colours.factor.unset, color=UNSET.colour, linewidth=2.4))
        entries = [style.heading(self._colours.factor.title), *colours] if len(colours) > 1 else []
        if self._dashes is not None and len(self._dashes) + self._unset[1] > 1:
            entries.append(style.heading(self._dashes.factor.title))
            kinds = [(label, *style.level_dashes(i)) for i, label in enumerate(self._dashes.labels)]
            kinds += [(self._dashes.factor.unset, UNSET.dashes, UNSET.marker)] * self._unset[1]
            entries += [
                style.key(label, color=style.FAINT, linestyle=dashes, marker=marker, markersize=5, linewidth=1.4)
                for label, dashes, marker in kinds
            ]
        return entries

    def note(self) -> str:
        """A sentence that names the axes without a look of their own; '' if there are none."""
        return alike("Lines", self._alike)


def alike(what: str, factors: Sequence[Factor]) -> str:
    """A sentence that names the axes in which drawn things of one look differ; '' if there are none."""
    return f"{what} of one look differ in: {', '.join(f.title for f in factors)}." if factors else ""
