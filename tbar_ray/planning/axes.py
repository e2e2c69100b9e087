"""The axes of an ablation: paths into the spec, and how their values are shown.

Every path of the spec is an axis (`forget.size`, `model.training.epochs`, `attacks.NAME.parameters.patch_size`), and so
is every parameter of a method (`tbar.learning_rate`). The usual ones have a short name. A new short name is one entry
of `ALIASES`; tables, figures, MLflow, sorting and the live line read it from there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tbar_ray.errors import SpecError
from tbar_ray.naming import nearest
from tbar_ray.spec.campaign import CampaignSpec

Setting = str | int | float | bool | None
"""The value of an axis in one trial; lists and mappings are written as JSON."""
Keys = tuple[str, ...]
"""The place of a value in a spec: the keys of nested mappings."""
FIXED = frozenset({"name", "description", "search"})
"""Sections that apply to the whole campaign and cannot vary."""


def number(value: Setting) -> str:
    """Write a number with at most four digits, and anything else as it is."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return "–" if value is None else str(value)


def count(value: Setting) -> str:
    """Write a whole number with separators."""
    return f"{value:,}" if isinstance(value, int) else number(value)


def percent(value: Setting) -> str:
    """Write a share in percent."""
    return f"{value * 100:.3g}%" if isinstance(value, int | float) else number(value)


def as_it_is_or(value: Setting) -> str:
    """Write what a defender takes for the trigger, or that it is the trigger."""
    return "as it is" if value is None else number(value)


def told_or(value: Setting) -> str:
    """Write the search that found a trigger, or that the defender was told it."""
    return "told" if value is None else number(value)


@dataclass(frozen=True)
class Factor:
    """How an axis is shown.

    Attributes:
        name: as in `search.axes`.
        label: in tables of the report and in run names.
        head: head of a column in a terminal.
        form: formats a value.
        long: the name in full, where the label is short for it.
    """

    name: str
    label: str
    head: str
    form: Callable[[Setting], str] = number
    long: str = ""

    @property
    def title(self) -> str:
        """The name in full, for figures and headings."""
        return self.long or self.label

    @property
    def names_unset(self) -> bool:
        """Whether the axis has a word for trials without a value, such as "told"."""
        return self.form(None) != number(None)

    @property
    def unset(self) -> str:
        """The label of trials without a value: what the axis says of that, else "not set"."""
        return self.form(None) if self.names_unset else "not set"

    def told(self, value: Setting) -> str:
        """Write name and value, for titles and run names."""
        return f"{self.label} {self.form(value)}"


@dataclass(frozen=True)
class Alias:
    """A short name of an axis: the paths that it sets, and how it is shown. `{method}` stands for the trial's."""

    paths: tuple[str, ...]
    factor: Factor


def _alias(
    name: str,
    paths: str,
    label: str = "",
    head: str = "",
    form: Callable[[Setting], str] = number,
    long: str = "",
) -> tuple[str, Alias]:
    label = label or name.replace("_", " ")
    return name, Alias(tuple(paths.split()), Factor(name, label, head or label, form, long))


ALIASES: Mapping[str, Alias] = dict(
    (
        _alias("attack", "attack"),
        _alias("source", "source", "vector of", "source"),
        _alias("method", "unlearning.method"),
        _alias("forget_size", "forget.size", "forget set", "forget", count, "forget-set size"),
        _alias("clean_fraction", "forget.clean_fraction", "clean", "clean", percent, "clean fraction"),
        _alias("poisoning_rate", "poison.rate", "poisoned", "poison", percent, "poisoning rate"),
        _alias("seed", "seed"),
        _alias("inversion", "defender.inversion", "trigger found by", "found by", told_or),
        _alias("belief", "defender.believes", "trigger taken for", "taken for", as_it_is_or),
        _alias("learning_rate", "methods.{method}.parameters.learning_rate", "learning rate", "lr"),
        _alias("alpha", "methods.{method}.alpha", "α"),
    )
)
STANDARD = ("attack", "source", "method", "forget_size", "clean_fraction", "poisoning_rate", "seed")
"""The axes that every trial has, in the order of tables; others follow."""


def order_of(names: Iterable[str]) -> list[str]:
    """Names of axes, each once, in the order of tables: the usual ones first, then as given."""
    known = list(ALIASES)
    return sorted(dict.fromkeys(names), key=lambda name: known.index(name) if name in known else len(known))


def factors_of(names: Iterable[str]) -> dict[str, Factor]:
    """How axes are shown: an alias as declared, another by the shortest end of its path that is unique."""
    names = order_of(names)
    return {name: ALIASES[name].factor if name in ALIASES else _unnamed(name, names) for name in names}


def _unnamed(name: str, names: list[str]) -> Factor:
    parts = name.split(".")
    others = [other.split(".") for other in names if other != name]
    length = next(n for n in range(1, len(parts) + 1) if n == len(parts) or parts[-n:] not in [o[-n:] for o in others])
    label = " ".join(part for part in parts[-length:] if part != "parameters").replace("_", " ")
    return Factor(name, label, label)


def is_of_method(name: str) -> bool:
    """Whether an axis sets another path for each method."""
    return name in ALIASES and any("{method}" in path for path in ALIASES[name].paths)


def is_aliased(path: str) -> bool:
    """Whether one of the short names that every trial has sets a path."""
    return any(path in ALIASES[name].paths and path != name for name in STANDARD)


def method_parameter(name: str) -> tuple[str, str] | None:
    """Method and parameter of an axis METHOD.PARAMETER; None for any other axis."""
    method, dot, parameter = name.partition(".")
    return (method, parameter) if dot and method not in CampaignSpec.model_fields else None


def keys_of(spec: CampaignSpec, name: str, method: str) -> list[Keys]:
    """Paths of a spec that an axis sets, for a trial of a method.

    Raises:
        SpecError: if there is no such axis.
    """
    if name in ALIASES:
        paths = [[method if key == "{method}" else key for key in p.split(".")] for p in ALIASES[name].paths]
        if name == "poisoning_rate":  # an attack's own rate is replaced, too
            paths += [["attacks", a, "poison", "rate"] for a, x in spec.attacks.items() if x.poison.rate is not None]
        return [tuple(path) for path in paths]
    if (of := method_parameter(name)) is not None:
        return [("methods", of[0], "parameters", of[1])]
    first = name.partition(".")[0]
    if first not in CampaignSpec.model_fields:
        raise SpecError(f"search.axes: unknown axis {name!r}{nearest(name, [*ALIASES, *CampaignSpec.model_fields])}")
    if name in ("attacks", "methods"):
        raise SpecError(
            f"search.axes.{name}: not all of them at once; give a field of one, as {name}.NAME.parameters.x"
        )
    if first in FIXED:
        raise SpecError(f"search.axes.{name}: {first!r} is of the whole campaign and cannot vary between its trials")
    return [_split(spec.model_dump(mode="python"), name)]


def _split(content: Any, path: str) -> Keys:
    """Split a path at its dots; names in a spec may have dots of their own."""
    keys: list[str] = []
    rest = path
    while rest:
        known = (
            [key for key in content if rest == key or rest.startswith(f"{key}.")] if isinstance(content, dict) else ()
        )
        key = max(known, key=len) if known else rest.partition(".")[0]
        content = content.get(key) if isinstance(content, dict) else None
        keys.append(key)
        rest = rest[len(key) + 1 :]
    return tuple(keys)


def setting_of(value: Any) -> Setting:
    """A value as a record holds it: a scalar as it is, anything else as JSON with sorted keys."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return json.dumps(value, sort_keys=True)
