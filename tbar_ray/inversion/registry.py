"""All searches for a trigger by name. A new one is one file in this package and one line here."""

from __future__ import annotations

from collections.abc import Mapping

from tbar_ray.inversion.b3d import B3d
from tbar_ray.inversion.base import Inverter
from tbar_ray.inversion.bti_dbf import BtiDbf
from tbar_ray.inversion.decree import Decree
from tbar_ray.inversion.freeeagle import FreeEagle
from tbar_ray.inversion.invertune import InverTune
from tbar_ray.inversion.neural_cleanse import NeuralCleanse
from tbar_ray.inversion.universal_noise import UniversalNoise
from tbar_ray.inversion.warp import UniversalWarp
from tbar_ray.naming import build_named

INVERTERS: Mapping[str, type[Inverter]] = {
    inverter.name: inverter
    for inverter in (Decree, UniversalNoise, UniversalWarp, NeuralCleanse, InverTune, BtiDbf, FreeEagle, B3d)
}


def build_inverter(name: str, parameters: Mapping[str, object]) -> Inverter:
    """Build a search from its name and parameters.

    Raises:
        SpecError: if the name or a parameter is unknown or out of range; the message suggests the nearest names.
    """
    return build_named(INVERTERS, "inversion", name, parameters)
