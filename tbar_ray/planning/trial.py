"""A trial: the campaign's spec with overrides of some of its paths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from pydantic import ValidationError
from pydantic_core import to_jsonable_python

from tbar_ray.errors import SpecError
from tbar_ray.naming import nearest
from tbar_ray.planning.axes import (
    STANDARD,
    Keys,
    Setting,
    is_aliased,
    keys_of,
    method_parameter,
    order_of,
    setting_of,
)
from tbar_ray.planning.methods import alphas_of
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.spec.load import describe

Values = Mapping[str, Any]
"""Values of axes, by their names in `search.axes`."""


@dataclass(frozen=True)
class Trial:
    """One cell of the ablation.

    Attributes:
        spec: the campaign's spec with the trial's values in place; all that the trial computes follows from it.
        settings: the values by axis, as tables show them; only axes that matter to the trial's attack and method.
        to_beat: the least validation ASR of the search so far, where a trial that cannot come below it is given up.
    """

    spec: CampaignSpec
    settings: Mapping[str, Setting]
    to_beat: float | None = None

    @property
    def attack(self) -> str:
        """The attack whose infected model is unlearned."""
        assert self.spec.attack is not None
        return self.spec.attack

    @property
    def source(self) -> str | None:
        """The attack whose vector is applied, None for the trial's own."""
        return self.spec.source

    @property
    def method(self) -> str:
        """The unlearning method, by its name in the spec."""
        return self.spec.unlearning.method

    @property
    def alphas(self) -> tuple[float, ...]:
        """The path of α."""
        return alphas_of(self.spec, self.method)

    @property
    def involved(self) -> frozenset[str]:
        """The attacks that matter to the trial: its own, the source, and those planted with them."""
        return _involved(self.spec, self.attack, self.source, self.spec.poison.plant)


def make_trial(spec: CampaignSpec, values: Values, to_beat: float | None = None) -> Trial:
    """Make a trial from values of axes.

    Values that cannot matter (parameters of another method or attack) are left out, so that cells that differ in
    nothing else are equal.

    Raises:
        SpecError: one line, if an axis does not exist or a value is not allowed.
    """
    attack = values.get("attack") or spec.attack or next(iter(spec.attacks))
    source = values.get("source") or spec.source
    method = str(values.get("method") or values.get("unlearning.method") or spec.unlearning.method)
    involved = _involved(spec, str(attack), source, values.get("poison.plant", spec.poison.plant))
    relevant = {name: value for name, value in values.items() if _matters(name, method, involved)}
    resolved = override(spec, {**relevant, "attack": attack, "source": None if source == attack else source}, method)
    return Trial(resolved, _settings(resolved, relevant, method), to_beat)


def override(spec: CampaignSpec, values: Values, method: str) -> CampaignSpec:
    """A spec with values of axes in place; the cut of the evaluation set stays the campaign's.

    Raises:
        SpecError: one line that names the axis, if a value is not allowed.
    """
    content = spec.model_dump(mode="python")
    if spec.evaluation.split_seed is None:
        content["evaluation"]["split_seed"] = spec.seed
    places = [(keys, name, value) for name, value in values.items() for keys in keys_of(spec, name, method)]
    for keys, name, value in sorted(places, key=lambda place: place[0][0] == "methods"):  # they start from `unlearning`
        single = name == "alpha" and not isinstance(value, list)
        _put(content, keys, [value] if single else value, name)
    try:
        return CampaignSpec.model_validate(content)
    except ValidationError as error:
        given = ", ".join(f"{name} {value!r}" for name, value in values.items() if (name, value) != ("source", None))
        raise SpecError(f"search.axes: {given}: {describe(error, CampaignSpec)}") from None


def grid(spec: CampaignSpec) -> list[dict[str, Any]]:
    """Values of every cell of a grid, by axis.

    The attack varies fastest, so that several attacks are planted side by side.
    """
    order = sorted(spec.search.axes, key=lambda name: name == "attack")
    lists = [axis if isinstance(axis, list) else [] for axis in (spec.search.axes[name] for name in order)]
    return [dict(zip(order, values, strict=True)) for values in product(*lists)]


def poisoning_rate(spec: CampaignSpec, attack: str) -> float | None:
    """An attack's poisoning rate in (0, 1]: its own or the campaign's; None where a count is given."""
    own = spec.attacks[attack].poison
    return own.rate if own.rate is not None or own.count is not None else spec.poison.rate


def value_at(spec: CampaignSpec, keys: Keys) -> Any:
    """Validated value of a spec at a path, as JSON has it; None where there is none."""
    found: Any = spec
    for key in keys:
        if isinstance(found, Mapping):
            found = found.get(key)
        elif isinstance(found, list | tuple):
            found = found[int(key)] if key.isdigit() and int(key) < len(found) else None
        else:
            found = getattr(found, key, None)
    return to_jsonable_python(found)


def _settings(spec: CampaignSpec, values: Values, method: str) -> dict[str, Setting]:
    assert spec.attack is not None
    settings: dict[str, Setting] = {}
    for name in order_of([*STANDARD, *values]):
        if name == "poisoning_rate":
            settings[name] = poisoning_rate(spec, spec.attack)
        elif name != "alpha" and not is_aliased(name):  # the path of α is kept apart from a trial's settings
            settings[name] = setting_of(value_at(spec, keys_of(spec, name, method)[0]))
    return settings


def _involved(spec: CampaignSpec, attack: str, source: str | None, plant: str) -> frozenset[str]:
    return frozenset(spec.attacks if plant == "together" else (attack, source or attack))


def _matters(name: str, method: str, involved: frozenset[str]) -> bool:
    if (of := method_parameter(name)) is not None:
        return of[0] == method
    section, _, rest = name.partition(".")
    if section == "methods":
        return f"{rest}.".startswith(f"{method}.")
    return section != "attacks" or any(f"{rest}.".startswith(f"{attack}.") for attack in involved)


def _put(content: dict[str, Any], keys: Keys, value: Any, axis: str) -> None:
    if keys[0] == "methods" and keys[1] not in content["methods"]:
        content["methods"][keys[1]] = {"parameters": dict(content["unlearning"]["parameters"])}
    place: Any = content
    for done, key in enumerate(keys[:-1]):
        if isinstance(place, list):
            place = place[int(key)] if key.isdigit() and int(key) < len(place) else None
        elif key in place:
            place = place[key]
        else:
            raise SpecError(f"search.axes.{axis}: the spec has no {'.'.join(keys[: done + 1])}{nearest(key, place)}")
        if place is None:
            raise SpecError(
                f"search.axes.{axis}: the spec has no {'.'.join(keys[: done + 1])}; give that section first"
            )
        if not isinstance(place, dict | list):
            raise SpecError(f"search.axes.{axis}: {'.'.join(keys[: done + 1])} has no parts")
    if isinstance(place, list):
        raise SpecError(f"search.axes.{axis}: {keys[-1]!r} is no field of a list")
    place[keys[-1]] = value
