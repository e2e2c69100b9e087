"""Reading the JSON files that lie beside a folder's weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tbar_ray.errors import CheckpointError
from tbar_ray.models.architectures import Normalisation


def read_json(files: Mapping[str, bytes], name: str) -> dict[str, Any]:
    """A JSON object; empty where there is no such file.

    Raises:
        CheckpointError: if it cannot be read.
    """
    if name not in files:
        return {}
    try:
        content = json.loads(files[name])
    except (ValueError, RecursionError):
        raise CheckpointError(f"{name} is not JSON; fetch the folder again") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{name} holds no object; fetch the folder again")
    return content


def section(content: Mapping[str, Any], name: str) -> dict[str, Any]:
    """An object within an object; empty where there is none."""
    found = content.get(name)
    return found if isinstance(found, dict) else {}


def read_count(content: Mapping[str, Any], name: str, usual: int) -> int:
    """A whole number of an object; the usual one where it is left out.

    Raises:
        CheckpointError: if it is something else.
    """
    found = content.get(name, usual)
    if not isinstance(found, int):
        raise CheckpointError(f"its configuration says {name} {found!r}, which is no number; fetch the folder again")
    return found


def read_normalisation(mean: object, std: object) -> Normalisation | None:
    """Mean and deviation of three channels; None where they are not given so."""
    channels = [
        tuple(float(value) for value in values)
        for values in (mean, std)
        if isinstance(values, (list, tuple)) and len(values) == 3 and all(isinstance(v, int | float) for v in values)
    ]
    return Normalisation(*channels) if len(channels) == 2 else None  # type: ignore[arg-type]
