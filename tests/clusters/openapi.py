"""A strict walk over the OpenAPI schemas of Kubernetes' custom resources: an unknown field is an error.

Kubernetes itself drops unknown fields, or only warns of them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.clusters.files import ROOT

FOLDER = Path(os.environ.get("TBAR_CRDS") or ROOT.parent / "shared" / "crds")
"""Folder of custom resource definitions, as `kubectl get crd NAME -o yaml` or their repositories give them."""
TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}
QUANTITY = re.compile(r"^[+-]?\d+(\.\d+)?([EPTGMk]i?|m|Ki|[eE][+-]?\d+)?$")


@cache
def schema_of(plural: str, version: str) -> dict[str, Any]:
    """Schema of a custom resource.

    Args:
        plural: name of its definition, such as `rayjobs.ray.io`.
        version: of it.

    Raises:
        FileNotFoundError: if the folder has no such definition.
    """
    name, _, group = plural.partition(".")
    content = (FOLDER / f"{group}_{name}.yaml").read_text(encoding="utf-8")
    definition = yaml.load(content, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    (found,) = (entry for entry in definition["spec"]["versions"] if entry["name"] == version)
    schema: dict[str, Any] = found["schema"]["openAPIV3Schema"]
    return schema


def has(plural: str) -> bool:
    """Whether the folder has the definition of a custom resource."""
    name, _, group = plural.partition(".")
    return (FOLDER / f"{group}_{name}.yaml").is_file()


def part(schema: dict[str, Any], *path: str) -> dict[str, Any]:
    """The schema at a path of properties; `[]` are the items of an array."""
    for step in path:
        schema = schema["items"] if step == "[]" else schema["properties"][step]
    return schema


def violations(value: Any, schema: dict[str, Any], where: str = "") -> Iterator[str]:
    """Yield a line for everything of a value that a schema does not allow, unknown fields included."""
    if schema.get("x-kubernetes-int-or-string"):
        if isinstance(value, bool) or not isinstance(value, int | str):
            yield f"{where}: {value!r} is neither a number nor text"
        elif isinstance(value, str) and "pattern" in schema and not QUANTITY.match(value):
            yield f"{where}: {value!r} is no quantity"
        return
    if value is None and schema.get("nullable"):
        return
    kind = schema.get("type")
    if kind is not None and (not isinstance(value, TYPES[kind]) or (isinstance(value, bool) and kind != "boolean")):
        yield f"{where}: {value!r} is no {kind}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where}: {value!r} is none of {schema['enum']}"
    if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{where}: {value!r} does not match {schema['pattern']}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        if "minimum" in schema and value < schema["minimum"]:
            yield f"{where}: {value} is less than {schema['minimum']}"
        if "maximum" in schema and value > schema["maximum"]:
            yield f"{where}: {value} is more than {schema['maximum']}"
    if isinstance(value, dict):
        yield from _in_object(value, schema, where)
    if isinstance(value, list):
        if len(value) < schema.get("minItems", 0) or len(value) > schema.get("maxItems", len(value)):
            yield f"{where}: {len(value)} items"
        for index, item in enumerate(value):
            yield from violations(item, schema.get("items", {}), f"{where}[{index}]")


def _in_object(value: dict[str, Any], schema: dict[str, Any], where: str) -> Iterator[str]:
    properties, others = schema.get("properties"), schema.get("additionalProperties")
    for key in schema.get("required", ()):
        # the API server fills a default in before it validates
        if key not in value and "default" not in (properties or {}).get(key, {}):
            yield f"{where}: {key} is missing"
    for key, entry in value.items():
        inner = f"{where}.{key}"
        if properties is not None and key in properties:
            yield from violations(entry, properties[key], inner)
        elif isinstance(others, dict):
            yield from violations(entry, others, inner)
        elif properties is not None and not others and not schema.get("x-kubernetes-preserve-unknown-fields"):
            yield f"{inner}: is unknown"
