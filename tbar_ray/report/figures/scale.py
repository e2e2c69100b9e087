"""An axis of the spec as the x axis of a panel: numbers at their value, names side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tbar_ray.planning.axes import Factor, Setting, count
from tbar_ray.records.cells import Levels
from tbar_ray.records.record import TrialRecord
from tbar_ray.report.figures.looks import levels_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_TICKS = 8
"""Values up to which each has a tick and means are joined; a random search scatters more, and a line would zigzag."""
DODGE = 0.022
"""The greatest shift of a line's marks, as a share of the axis."""
ROOM = 0.14
"""Share of the axis that a label needs."""
WIDE = 50
"""Factor between the ends of an axis up to which ticks have room within a factor of ten."""
LONG = 34
"""Letters of all names, were each as long as the longest, up to which they are written flat."""


class Scale:
    """Positions of the values of an axis.

    Numbers that span more than a factor of ten are placed by their logarithm, and so are counts, chosen by factors.
    Names are placed at 0, 1, … in order of appearance, after what an axis says of trials without a value ("told").

    Args:
        records: all trials of the figure, so that panels share the scale.
        factor: the axis.
    """

    def __init__(self, records: Sequence[TrialRecord], factor: Factor) -> None:
        self.factor = factor
        self._levels: Levels = levels_of(records, factor, most=len(records))
        named = factor.names_unset and not self._levels.numeric
        self._unset = named and any(record.setting(factor.name) is None for record in records)
        self._labels = [*([factor.unset] if self._unset else []), *self._levels.labels]
        self._values: list[float] = (
            [_number(value) for value in self._levels.values]
            if self._levels.numeric
            else [float(place) for place in range(len(self._labels))]
        )
        self.few = len(self._values) <= MOST_TICKS
        self.by_factor = self._levels.by_factor or (
            self._levels.numeric and factor.form is count and self._values[0] > 0
        )

    def has(self, record: TrialRecord) -> bool:
        """Whether a trial has the axis; those of another method may not."""
        return self._unset or record.setting(self.factor.name) is not None

    def place(self, record: TrialRecord, dodge: float = 0.0) -> float:
        """Position of a trial on the x axis, moved by `dodge` in -1…1; 1 is the share `DODGE` of the axis."""
        value = record.setting(self.factor.name)
        x = self._values[0 if value is None else self._unset + self._levels.index(value)]
        if self.by_factor:
            return float(x * max(self._values[-1] / self._values[0], 1.5) ** (DODGE * dodge))
        return x + DODGE * dodge * (self._values[-1] - self._values[0])

    def dress(self, axes: Axes) -> None:
        """Give a panel the scale, its limits, label and ticks."""
        from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

        low, high = self._values[0], self._values[-1]
        if self.by_factor:
            axes.set_xscale("log")
            axes.set_xlim(low / 1.3, high * 1.3)
        else:
            margin = 0.12 * (high - low) or 0.5 if self._levels.numeric else 0.5
            axes.set_xlim(low - margin, high + margin)
        axes.set_xlabel(f"{self.factor.title} (log scale)" if self.by_factor else self.factor.title)
        if not self._levels.numeric:
            axes.set_xticks(self._values, self._labels)
            if max(map(len, self._labels)) * len(self._labels) > LONG:
                for label in axes.get_xticklabels():
                    label.set(rotation=20, ha="right", rotation_mode="anchor")
            return
        if self.few:
            axes.xaxis.set_major_locator(FixedLocator(self._values))
            axes.xaxis.set_minor_locator(NullLocator())
        elif self.by_factor:
            subs = (1, 2, 5) if high / low <= WIDE else (1,)
            axes.xaxis.set_major_locator(LogLocator(subs=subs, numticks=MOST_TICKS))
        named = self._apart() if self.few and not self.by_factor else None
        axes.xaxis.set_major_formatter(
            FuncFormatter(lambda x, _: self.factor.form(_whole(x)) if named is None or x in named else "")
        )
        axes.xaxis.set_minor_formatter(NullFormatter())

    def _apart(self) -> list[float]:
        """Values that have room for a label: the first, and those far enough from the last one named."""
        named = self._values[:1]
        for value in self._values[1:]:
            if value - named[-1] >= ROOM * (self._values[-1] - self._values[0]):
                named.append(value)
        return named


def _number(value: Setting) -> float:
    assert isinstance(value, int | float)
    return float(value)


def _whole(value: float) -> int | float:
    """A whole number as such, since counts are written with separators."""
    return int(value) if value.is_integer() else value
