"""How many trials a search has, and over which axes: one study, or one for every method."""

from __future__ import annotations

from typing import Any

from tbar_ray.planning.axes import method_parameter
from tbar_ray.planning.methods import used_methods
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.spec.search import AxisRange

Axes = dict[str, list[Any] | AxisRange]


def searched_trials(spec: CampaignSpec) -> int:
    """Number of trials of a search; a method without anything to search has one."""
    assert spec.search.trials is not None
    if spec.search.study == "whole":
        return spec.search.trials
    return sum(spec.search.trials if axes_of(spec, method) else 1 for method in used_methods(spec))


def axes_of(spec: CampaignSpec, method: str) -> Axes:
    """Axes of one method's study: without the method, and without other methods' parameters."""
    return {
        name: axis
        for name, axis in spec.search.axes.items()
        if name != "method" and ((of := method_parameter(name)) is None or of[0] == method)
    }
