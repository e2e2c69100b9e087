"""The triggers by name. A new attack is one file in this package and one line here."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError

from tbar_ray.errors import SpecError
from tbar_ray.naming import nearest
from tbar_ray.triggers.badnets import BadNets
from tbar_ray.triggers.base import Trigger
from tbar_ray.triggers.blended import Blended

TRIGGERS: Mapping[str, type[Trigger]] = {trigger.name: trigger for trigger in (BadNets, Blended)}


def build_trigger(name: str, parameters: Mapping[str, object], seed: int) -> Trigger:
    """Build a trigger from its name and parameters.

    Raises:
        SpecError: if the name or a parameter is unknown or out of range, naming the nearest ones.
    """
    if name not in TRIGGERS:
        raise SpecError(f"unknown trigger {name!r}{nearest(name, TRIGGERS)}")
    trigger = TRIGGERS[name]
    try:
        return trigger(**{"seed": seed, **parameters})
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        hint = nearest(field, trigger.model_fields) if first["type"] == "extra_forbidden" else ""
        raise SpecError(f"trigger {name!r}: {field}: {first['msg']}{hint}") from None
