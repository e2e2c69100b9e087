"""Fields that a record of what is computed did not have at first, and that leave the names of older artifacts alone."""

from __future__ import annotations

from pydantic import BaseModel


class _Later:
    """Marks a field that was added when artifacts were in use."""


LATER = _Later()
"""For `Annotated`: the field is not counted at its default, which changes nothing."""


def uncounted(model: BaseModel) -> set[str]:
    """Names of a model's later fields that have their defaults."""
    fields = type(model).model_fields.items()
    return {name for name, field in fields if LATER in field.metadata and getattr(model, name) == field.default}
