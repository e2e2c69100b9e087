"""The known formats, in the order in which they are asked. A new format is one file, and one entry here."""

from __future__ import annotations

from typing import Final

from tbar_ray.models.formats.base import Format
from tbar_ray.models.formats.cleanclip import CleanClip, CleanClipFinetune, OpenClipTraining
from tbar_ray.models.formats.found import Found
from tbar_ray.models.formats.hub_folder import OpenClipFolder
from tbar_ray.models.formats.image_encoders import Decree, Tecoa
from tbar_ray.models.formats.par import Par
from tbar_ray.models.formats.plain import Plain
from tbar_ray.models.formats.transformers_clip import TransformersClip

FORMATS: Final[tuple[Format, ...]] = (
    OpenClipFolder(),
    TransformersClip(),
    CleanClipFinetune(),
    CleanClip(),
    OpenClipTraining(),
    Par(),
    Tecoa(),
    Decree(),
    Plain(),
)


def recognise(found: Found) -> Format:
    """The first format that fits; the last one always does."""
    return next(form for form in FORMATS if form.fits(found))
