"""The spec described from its own models: a JSON Schema for editors, and a Markdown reference for people.

Both are committed (`campaign.schema.json` here, `docs/spec.md`) and made again by `make docs-reference`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tbar_ray.spec.campaign import CampaignSpec

SCHEMA_FILE = Path(__file__).with_name("campaign.schema.json")
"""The committed schema, which is part of the installed package."""

LONG_LIST = 8
"""Of a default list with more values the reference shows the ends."""

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TYPES = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false", "null": "null"}
_BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}

_HEAD = """\
# Spec reference

This page is generated from the models that check a spec. Do not edit it: change the models, then run
`make docs-reference`. [Writing a campaign](campaigns.md) explains the sections by example.

Unknown keys and impossible values are errors that name the field and the nearest known one. `NAME` stands for a name of
your choice. The same facts as a JSON Schema: `tbar spec schema`. Editors that use the YAML language server check a
spec and complete its keys when the spec's first line names the schema file, as in every shipped campaign.
"""


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a campaign spec."""
    return {"$schema": _DIALECT, **CampaignSpec.model_json_schema()}


def schema_text() -> str:
    """Return the JSON Schema as the text of its file, which ends with a newline."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


def reference() -> str:
    """Return the Markdown reference: a section for each model, a table row for each field."""
    root = schema()
    models = {root["title"]: root, **root["$defs"]}
    places = _places(root)
    sections = [_section(name, models, paths) for name, paths in places.items()]
    return "\n".join([_HEAD, *sections])


def _places(root: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return, for each model in order of appearance, the paths of the spec at which it stands."""
    places: dict[str, list[str]] = {root["title"]: []}

    def visit(model: Mapping[str, Any], path: str) -> None:
        for key, field in model["properties"].items():
            for suffix, name in _models_in(field):
                here = f"{path}{key}{suffix}"
                places.setdefault(name, []).append(here)
                visit(root["$defs"][name], f"{here}.")

    visit(root, "")
    return places


def _models_in(field: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (suffix of the path, name) of every model that a field may hold."""
    if "$ref" in field:
        yield "", _name(field["$ref"])
    for option in field.get("anyOf", ()):
        yield from _models_in(option)
    for suffix, inner in (("[]", field.get("items")), (".NAME", field.get("additionalProperties"))):
        if isinstance(inner, dict):
            yield from ((suffix + deeper, name) for deeper, name in _models_in(inner))


def _section(name: str, models: Mapping[str, Any], paths: list[str]) -> str:
    model = models[name]
    lines = [f"## {name}", ""]
    if paths:
        lines += [f"At {', '.join(f'`{path}`' for path in paths)}.", ""]
    lines += [
        model.get("description", ""),
        "",
        "| field | type and bounds | default | description |",
        "|---|---|---|---|",
    ]
    required = model.get("required", ())
    for key, field in model["properties"].items():
        default = "**required**" if key in required else _default(field, models)
        cells = (f"`{key}`", _type(field), default, field.get("description", ""))
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join([*lines, ""])


def _type(field: Mapping[str, Any]) -> str:
    if "$ref" in field:
        name = _name(field["$ref"])
        return f"[{name}](#{name.lower()})"
    if "anyOf" in field:
        return " or ".join(_type(option) for option in field["anyOf"])
    if "enum" in field or "const" in field:
        return " or ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))
    bounds = [f"{sign} {field[key]:g}" for key, sign in _BOUNDS.items() if key in field]
    if "pattern" in field:
        bounds.append(f"matching `{field['pattern']}`")
    return " ".join([_plain_type(field), ", ".join(bounds)]).rstrip()


def _plain_type(field: Mapping[str, Any]) -> str:
    kind = field.get("type")
    if kind == "array" and "prefixItems" in field:
        return f"[{', '.join(_type(item) for item in field['prefixItems'])}]"
    if kind == "array":
        least = f" (at least {field['minItems']})" if "minItems" in field else ""
        return f"list of {_type(field['items'])}{least}"
    if kind == "object":
        inner = field.get("additionalProperties")
        least = f" (at least {field['minProperties']})" if "minProperties" in field else ""
        return (f"mapping of names to {_type(inner)}" if isinstance(inner, dict) else "mapping") + least
    return _TYPES[kind] if kind else "any value"


def _default(field: Mapping[str, Any], models: Mapping[str, Any]) -> str:
    """Return a default as YAML shows it; of a section, only what differs from the section's own defaults."""
    if "default" not in field:
        return "`{}`"  # pydantic leaves out the default of a factory, and all of ours make an empty mapping
    default = field["default"]
    if isinstance(default, dict) and "$ref" in field:
        own = models[_name(field["$ref"])]["properties"]
        default = {key: value for key, value in default.items() if value != own[key].get("default", {})}
        if not default:
            return "its defaults"
    if isinstance(default, list) and len(default) > LONG_LIST:
        first, second, *_, last = (json.dumps(value) for value in default)
        return f"`[{first}, {second}, …, {last}]`, {len(default)} values"
    return f"`{json.dumps(default, ensure_ascii=False)}`"


def _name(reference: str) -> str:
    return reference.rpartition("/")[2]
