"""How many trials a search has, and over which axes: one study, or one for every method."""

from __future__ import annotations

from itertools import product
from typing import Any

from tbar_ray.planning.axes import method_parameter
from tbar_ray.planning.methods import used_methods
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.spec.search import AxisRange

Axes = dict[str, list[Any] | AxisRange]


def searched_trials(spec: CampaignSpec) -> int:
    """Number of trials of a search; a method without anything to search has one proposal."""
    assert spec.search.trials is not None
    each = len(cells_of(spec))
    if spec.search.study == "whole":
        return spec.search.trials * each
    return each * sum(spec.search.trials if axes_of(spec, method) else 1 for method in used_methods(spec))


def cells_of(spec: CampaignSpec) -> list[dict[str, Any]]:
    """Settings of the axes of `search.mean_over`, at each of which every proposal is run; one without settings if there
    are no such axes.
    """
    names = spec.search.mean_over
    values = [axis for name in names if isinstance(axis := spec.search.axes[name], list)]
    return [dict(zip(names, chosen, strict=True)) for chosen in product(*values)]


def axes_of(spec: CampaignSpec, method: str) -> Axes:
    """Axes of one method's study: without the method, other methods' parameters and those of `mean_over`."""
    return {
        name: axis
        for name, axis in searched_axes(spec).items()
        if name != "method" and ((of := method_parameter(name)) is None or of[0] == method)
    }


def searched_axes(spec: CampaignSpec) -> Axes:
    """Axes that a sampler proposes values of: all but those of `mean_over`."""
    return {name: axis for name, axis in spec.search.axes.items() if name not in spec.search.mean_over}
