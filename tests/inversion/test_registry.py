from __future__ import annotations

import pytest

from tbar_ray.errors import SpecError
from tbar_ray.inversion.registry import INVERTERS, build_inverter


def test_names_are_those_of_the_classes_and_parameters_are_checked() -> None:
    assert all(name == kind.name for name, kind in INVERTERS.items())
    assert build_inverter("decree", {"starts": 3}).model_dump()["starts"] == 3
    with pytest.raises(SpecError, match="unknown inversion 'decre'; did you mean 'decree'"):
        build_inverter("decre", {})
    with pytest.raises(SpecError, match="inversion 'decree': starts"):
        build_inverter("decree", {"starts": 0})


@pytest.mark.parametrize("name", sorted(INVERTERS))
def test_every_search_says_what_it_measures_and_what_its_parameters_are(name: str) -> None:
    assert INVERTERS[name].measures
    assert all(field.description for field in INVERTERS[name].model_fields.values())
