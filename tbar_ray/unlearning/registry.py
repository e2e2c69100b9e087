"""The unlearning methods by name. A new method is one file in this package and one line here."""

from __future__ import annotations

from collections.abc import Mapping

from tbar_ray.naming import build_named
from tbar_ray.unlearning.base import Unlearner
from tbar_ray.unlearning.tbar import TBAR
from tbar_ray.unlearning.twin_distillation import TwinDistillation

UNLEARNERS: Mapping[str, type[Unlearner]] = {method.name: method for method in (TBAR, TwinDistillation)}


def build_unlearner(name: str, parameters: Mapping[str, object]) -> Unlearner:
    """Build a method from its name and hyper-parameters.

    Raises:
        SpecError: if the name or a hyper-parameter is unknown or out of range.
    """
    return build_named(UNLEARNERS, "unlearning method", name, parameters)
