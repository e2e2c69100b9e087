"""The panels of figures along α: those of trials that have a path, not a single α."""

from __future__ import annotations

from collections.abc import Sequence

from tbar_ray.naming import counted
from tbar_ray.records.cells import Panel, curves_of, in_panel, panels_of
from tbar_ray.records.record import TrialRecord


def panels_along_alpha(shown: Sequence[TrialRecord]) -> tuple[list[Panel], str]:
    """The panels in which there is a line along α, all where none has one, and a sentence that counts the others.

    A method that knows one α only has no path: a panel would be three marks, and a campaign of many methods a sheet
    of nothing else.

    Args:
        shown: trials with a path of one α or more.
    """
    panels = panels_of(shown)
    drawn = [
        panel
        for panel in panels
        if any(len(curve.alphas) > 1 for curve in curves_of(in_panel(shown, panel), (), mean_of_seeds=True))
    ]
    if not drawn or len(drawn) == len(panels):
        return panels, ""
    others = counted(len(panels) - len(drawn), "cell")
    return drawn, f"Without a panel: {others} of one α, whose scores are in the tables."
