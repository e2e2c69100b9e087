"""The type of the field at a path of the spec: a sampler must know which ranges have whole numbers only."""

from __future__ import annotations

from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from tbar_ray.planning.axes import Keys, keys_of
from tbar_ray.planning.methods import method_of
from tbar_ray.spec.campaign import CampaignSpec


def is_whole(spec: CampaignSpec, axis: str, method: str) -> bool:
    """Whether an axis takes whole numbers only."""
    keys = keys_of(spec, axis, method)[0]
    if keys[:2] == ("unlearning", "parameters"):  # of the trial's method
        keys = ("methods", method, *keys[1:])
    types = types_at(spec, keys)
    return int in types and float not in types


def types_at(spec: CampaignSpec, keys: Keys) -> set[Any]:
    """Types that the value at a path may have; empty where they are unknown."""
    if "parameters" in keys[:-1]:
        owner = _owner_of_parameters(spec, keys)
        return set() if owner is None or keys[-1] not in owner.model_fields else _members(owner, keys[-1])
    found: set[Any] = {CampaignSpec}
    for key in keys:
        found = {inner for kind in found for inner in _inside(kind, key)}
    return found


def _owner_of_parameters(spec: CampaignSpec, keys: Keys) -> type[BaseModel] | None:
    """The class that takes the parameters of a method, a trigger, a planting, a merge or a patch; None if unknown."""
    from tbar_ray.models.merging import MERGES
    from tbar_ray.planting.badclip import PatchOptimisation
    from tbar_ray.planting.registry import PLANTINGS
    from tbar_ray.triggers.presets import resolve
    from tbar_ray.triggers.registry import TRIGGERS
    from tbar_ray.unlearning.registry import UNLEARNERS

    if keys[0] in ("methods", "unlearning"):
        name = keys[1] if keys[0] == "methods" else spec.unlearning.method
        return UNLEARNERS.get(method_of(spec, name).method or name)
    attack = spec.attacks.get(keys[1]) if keys[0] == "attacks" else None
    if attack is None:
        return None
    if keys[2] == "planting":
        return PLANTINGS.get(attack.planting.method)
    if keys[2] == "merge" and attack.merge is not None:
        return MERGES.get(attack.merge.method)
    if keys[2] == "patch":
        return PatchOptimisation
    return TRIGGERS.get(resolve(attack.trigger, attack.parameters)[0]) if keys[2] == "parameters" else None


def _inside(kind: Any, key: str) -> set[Any]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return _members(kind, key) if key in kind.model_fields else set()
    if get_origin(kind) in (dict, list):
        return _flat(get_args(kind)[-1])
    return set()


def _members(model: type[BaseModel], key: str) -> set[Any]:
    return _flat(model.model_fields[key].annotation)


def _flat(annotation: Any) -> set[Any]:
    """Members of a union, without annotations; of another type, the type itself."""
    if get_origin(annotation) is Annotated:
        return _flat(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return {member for part in get_args(annotation) for member in _flat(part)}
    return {annotation}
