"""All triggers by name. A new attack is one file in this package and one line here."""

from __future__ import annotations

from collections.abc import Mapping

from tbar_ray.naming import build_named
from tbar_ray.triggers.badclip import BadCLIP
from tbar_ray.triggers.badnets import BadNets
from tbar_ray.triggers.base import Trigger
from tbar_ray.triggers.blended import Blended
from tbar_ray.triggers.blended_per_image import BlendedPerImage
from tbar_ray.triggers.blended_picture import BlendedPicture
from tbar_ray.triggers.blended_stripes import BlendedStripes
from tbar_ray.triggers.blended_text import BlendedText
from tbar_ray.triggers.blended_triangles import BlendedTriangles
from tbar_ray.triggers.fourier import Fourier
from tbar_ray.triggers.ftrojan import FTrojan
from tbar_ray.triggers.gaussian_patch import GaussianPatch, WrappedGaussian
from tbar_ray.triggers.lattice import Lattice
from tbar_ray.triggers.sig import SIG, SIGBlended
from tbar_ray.triggers.square import Square
from tbar_ray.triggers.striped_patch import StripedPatch
from tbar_ray.triggers.wanet import WaNet, WaNetJitter

_TRIGGERS: tuple[type[Trigger], ...] = (
    BadNets,
    GaussianPatch,
    WrappedGaussian,
    Lattice,
    StripedPatch,
    Square,
    BadCLIP,
    Blended,
    BlendedPerImage,
    BlendedPicture,
    BlendedStripes,
    BlendedTriangles,
    BlendedText,
    SIG,
    SIGBlended,
    WaNet,
    WaNetJitter,
    FTrojan,
    Fourier,
)

TRIGGERS: Mapping[str, type[Trigger]] = {trigger.name: trigger for trigger in _TRIGGERS}


def build_trigger(name: str, parameters: Mapping[str, object], seed: int) -> Trigger:
    """Build a trigger from its name and parameters.

    Raises:
        SpecError: if the name or a parameter is unknown or out of range; the message suggests the nearest names.
    """
    return build_named(TRIGGERS, "trigger", name, {"seed": seed, **parameters})
