"""How many trials a search has, and over which axes: one study, or one for every method or attack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from tbar_ray.planning.axes import method_parameter
from tbar_ray.planning.methods import used_methods
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.spec.search import AxisRange

Axes = dict[str, list[Any] | AxisRange]


@dataclass(frozen=True)
class Study:
    """One search: the axes that a sampler proposes values of, and those that are fixed, with their values."""

    axes: Axes
    fixed: Mapping[str, Any]


def studies_of(spec: CampaignSpec) -> list[Study]:
    """The searches of a spec: one, or one for each method or attack, without what matters to others alone."""
    axes = searched_axes(spec)
    match spec.search.studied:
        case "method":
            return [Study(_of_method(axes, name), {"method": name}) for name in used_methods(spec)]
        case "attack":
            attacks = spec.search.axes["attack"]
            assert isinstance(attacks, list)
            return [Study(_of_attack(spec, axes, str(name)), {"attack": name}) for name in attacks]
    return [Study(axes, {})]


def searched_trials(spec: CampaignSpec) -> int:
    """Number of trials of a search; a study without anything to search has one proposal."""
    assert spec.search.trials is not None
    studies = studies_of(spec)
    return len(cells_of(spec)) * sum(spec.search.trials if study.axes or not study.fixed else 1 for study in studies)


def cells_of(spec: CampaignSpec) -> list[dict[str, Any]]:
    """Settings of the axes of `search.mean_over`, at each of which every proposal is run; one without settings if there
    are no such axes.
    """
    names = spec.search.mean_over
    values = [axis for name in names if isinstance(axis := spec.search.axes[name], list)]
    return [dict(zip(names, chosen, strict=True)) for chosen in product(*values)]


def searched_axes(spec: CampaignSpec) -> Axes:
    """Axes that a sampler proposes values of: all but those of `mean_over`."""
    return {name: axis for name, axis in spec.search.axes.items() if name not in spec.search.mean_over}


def _of_method(axes: Axes, method: str) -> Axes:
    """Axes of one method's study: without the method and other methods' parameters."""
    return {
        name: axis
        for name, axis in axes.items()
        if name != "method" and ((of := method_parameter(name)) is None or of[0] == method)
    }


def _of_attack(spec: CampaignSpec, axes: Axes, attack: str) -> Axes:
    """Axes of one attack's study: without the attack and fields of attacks that are not planted with it."""
    others = () if spec.poison.plant == "together" else [name for name in spec.attacks if name != attack]
    of_others = tuple(f"attacks.{name}." for name in others)
    own = f"attacks.{attack}."
    return {
        name: axis
        for name, axis in axes.items()
        if name != "attack" and (name.startswith(own) or not name.startswith(of_others))
    }
