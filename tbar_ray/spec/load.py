"""Reading a spec: YAML, `--set` overrides, and one-line errors that name the field."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tbar_ray.data.text import decode_text
from tbar_ray.errors import SpecError
from tbar_ray.naming import nearest
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.spec.yaml_reader import read_value, read_yaml

AXES = ("search", "axes")
SHOWN = 8
"""Mistakes that one message names."""


def load_spec(path: Path, overrides: Sequence[str] = ()) -> CampaignSpec:
    """Read a campaign spec.

    Args:
        path: a YAML file.
        overrides: `key.sub=value` items, applied over the file; values are YAML.

    Raises:
        SpecError: one line naming the file and the field.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SpecError(f"{path}: {error.strerror or error}") from None
    content = read_yaml(decode_text(data, str(path), SpecError), str(path))
    if not isinstance(content, dict):
        raise SpecError(f"{path}: a campaign spec is a mapping with 'name', 'data', 'model', …")
    for override in overrides:
        _apply(content, override)
    try:
        return CampaignSpec.model_validate(content)
    except ValidationError as error:
        raise SpecError(f"{path}: {describe(error, CampaignSpec)}") from None


def describe(error: ValidationError, model: type[BaseModel]) -> str:
    """The validation errors in one line, the most telling first: field, what is wrong, the nearest known key.

    Unknown keys come first: where one is misspelt, the key it stands for is reported missing as well.
    """
    errors = sorted(_told_apart(error), key=lambda one: one["type"] != "extra_forbidden")
    first, *others = (_describe_one(one, model) for one in errors[:SHOWN])
    more = f" (and {len(errors) - SHOWN} more)" if len(errors) > SHOWN else ""
    return f"{first}; also: {'; '.join(others)}{more}" if others else first


def _describe_one(one: ErrorDetails, model: type[BaseModel]) -> str:
    location = [str(part) for part in one["loc"]]
    field = ".".join(location)
    message = one["msg"].removeprefix("Value error, ")
    if one["type"] == "extra_forbidden":
        message = f"unknown key{nearest(location[-1], _fields_at(model, location[:-1]))}"
    elif one["type"] == "missing":
        message = "required, but missing"
    elif "input" in one and not isinstance(one["input"], dict):
        message += f" (got {one['input']!r})"
        if one["type"] == "string_type" and isinstance(one["input"], bool | int | float | date):
            message += "; YAML reads it so: write it in quotes"
    return f"{field}: {message}" if field else message


def _told_apart(error: ValidationError) -> list[ErrorDetails]:
    """The errors; of an axis, which is a list or a range, only those of the form that was written."""
    kept = []
    for one in error.errors():
        location = one["loc"]
        if location[:2] == ("search", "axes") and len(location) > 3:
            is_range = isinstance(one["input"], dict)
            if len(location) == 4 and one["type"] == ("list_type" if is_range else "model_type"):
                continue
            one["loc"] = (*location[:3], *location[4:])  # without the name of the form
        kept.append(one)
    return kept


def _apply(content: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise SpecError(f"--set {override}: write key.sub=value")
    *parents, last = _keys(content, key.split("."))
    place = content
    for parent in parents:
        if place.get(parent) is None:
            place[parent] = {}
        place = place[parent]
        if not isinstance(place, dict):
            raise SpecError(f"--set {override}: {parent!r} is not a mapping")
    place[last] = read_value(text, f"--set {override}")


def _keys(content: object, parts: list[str], above: tuple[str, ...] = ()) -> list[str]:
    """Join the parts of a dotted key to keys: an axis's name has dots itself, and so may any key that is there."""
    if not parts:
        return []
    known = content if isinstance(content, dict) else {}
    longest = next((n for n in range(len(parts), 0, -1) if ".".join(parts[:n]) in known), None)
    count = longest or (len(parts) if above == AXES else 1)
    key = ".".join(parts[:count])
    return [key, *_keys(known.get(key), parts[count:], (*above, key))]


def _fields_at(model: type[BaseModel], location: list[str]) -> list[str]:
    """Known keys of the section at `location`; none where it is no section."""
    current: Any = model
    for part in location:
        field = getattr(current, "model_fields", {}).get(part)
        if field is None:
            continue
        candidates = [field.annotation, *getattr(field.annotation, "__args__", ())]
        candidates += [inner for c in candidates for inner in getattr(c, "__args__", ())]
        sections = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
        if not sections:
            return []
        current = sections[0]
    return list(getattr(current, "model_fields", {}))
