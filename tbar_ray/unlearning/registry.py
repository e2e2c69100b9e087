"""The unlearning methods by name. A new method is one file in this package and one line here."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError

from tbar_ray.errors import SpecError
from tbar_ray.naming import nearest
from tbar_ray.unlearning.base import Unlearner
from tbar_ray.unlearning.tbar import TBAR

UNLEARNERS: Mapping[str, type[Unlearner]] = {method.name: method for method in (TBAR,)}


def build_unlearner(name: str, parameters: Mapping[str, object]) -> Unlearner:
    """Build a method from its name and hyper-parameters.

    Raises:
        SpecError: if the name or a hyper-parameter is unknown or out of range.
    """
    if name not in UNLEARNERS:
        raise SpecError(f"unknown unlearning method {name!r}{nearest(name, UNLEARNERS)}")
    method = UNLEARNERS[name]
    try:
        return method(**parameters)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        hint = nearest(field, method.model_fields) if first["type"] == "extra_forbidden" else ""
        raise SpecError(f"unlearning method {name!r}: {field}: {first['msg']}{hint}") from None
