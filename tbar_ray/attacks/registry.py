"""The plantings by name. A new one is one file in this package and one line here."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError

from tbar_ray.attacks.badmerging import BadMerging
from tbar_ray.attacks.base import Planting
from tbar_ray.attacks.negation_robust import NegationRobust
from tbar_ray.attacks.standard import Standard
from tbar_ray.attacks.stealth import Stealth
from tbar_ray.errors import SpecError
from tbar_ray.naming import nearest

PLANTINGS: Mapping[str, type[Planting]] = {
    planting.name: planting for planting in (Standard, BadMerging, NegationRobust, Stealth)
}


def build_planting(name: str, parameters: Mapping[str, object]) -> Planting:
    """Build a planting from its name and parameters.

    Raises:
        SpecError: if the name or a parameter is unknown or out of range, naming the nearest ones.
    """
    if name not in PLANTINGS:
        raise SpecError(f"unknown planting {name!r}{nearest(name, PLANTINGS)}")
    planting = PLANTINGS[name]
    try:
        return planting(**parameters)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        hint = nearest(field, planting.model_fields) if first["type"] == "extra_forbidden" else ""
        raise SpecError(f"planting {name!r}: {field}: {first['msg']}{hint}") from None
