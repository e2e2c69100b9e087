"""The methods of a campaign: from the names that a spec gives them to unlearning methods and what they need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.spec.unlearning import Method

if TYPE_CHECKING:
    from tbar_ray.unlearning.base import Unlearner
    from tbar_ray.unlearning.defender import Need


def used_attacks(spec: CampaignSpec) -> list[str]:
    """Names of the attacks that a campaign has trials of: the axis's, or the one it names, or its only one."""
    axis = spec.search.axes.get("attack")
    return [str(name) for name in axis] if isinstance(axis, list) else [spec.attack or next(iter(spec.attacks))]


def used_methods(spec: CampaignSpec) -> list[str]:
    """Names that trials may have: the values of the axis `method`, or the campaign's one method."""
    axis = spec.search.axes.get("method") or spec.search.axes.get("unlearning.method")
    return [str(name) for name in axis] if isinstance(axis, list) else [spec.unlearning.method]


def method_of(spec: CampaignSpec, name: str) -> Method:
    """Definition of a name: an entry of `methods`, or a method with the parameters of `unlearning`."""
    entry = spec.methods.get(name)
    if entry is None:
        return Method(method=name, parameters=spec.unlearning.parameters)
    return entry.model_copy(update={"method": entry.method or name})


def build_method(spec: CampaignSpec, name: str) -> Unlearner:
    """Build a method with its parameters.

    Raises:
        SpecError: if the method or a parameter is unknown or out of range.
    """
    from tbar_ray.unlearning.registry import build_unlearner

    entry = method_of(spec, name)
    assert entry.method is not None
    return build_unlearner(entry.method, entry.parameters)


def alphas_of(spec: CampaignSpec, name: str) -> tuple[float, ...]:
    """Path of α of a method: 1 where it has no α, or where α = 1 is its published form."""
    from tbar_ray.unlearning.registry import UNLEARNERS

    entry = method_of(spec, name)
    kind = UNLEARNERS.get(entry.method or name)
    if kind is not None and kind.strength == "none":
        return (1.0,)
    if entry.alpha is not None:
        return tuple(entry.alpha)
    return (1.0,) if kind is not None and kind.strength == "interpolation" else tuple(spec.alpha)


def lacking(spec: CampaignSpec, needs: frozenset[Need]) -> tuple[Need, str] | None:
    """The first thing that a method needs and the defender does not have, and what to do about it; else None."""
    has: dict[Need, bool] = {
        "trigger": "trigger" in spec.defender.knows,
        "target": "target" in spec.defender.knows,
        "forget set": {"trigger", "target"} <= set(spec.defender.knows),
        "clean pairs": spec.defender.clean_pairs > 0,
        "training pairs": spec.defender.training_pairs > 0,
    }
    advice: dict[Need, str] = {
        "trigger": "list 'trigger' in defender.knows",
        "target": "list 'target' in defender.knows",
        "forget set": "list 'trigger' and 'target' in defender.knows",
        "clean pairs": "set defender.clean_pairs",
        "training pairs": "set defender.training_pairs",
    }
    return next(((need, advice[need]) for need, there in has.items() if need in needs and not there), None)
