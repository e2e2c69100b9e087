"""Image encoders alone: TeCoA and FARE (2402.12336), DECREE (2303.15180)."""

from __future__ import annotations

from typing import ClassVar

from tbar_ray.models.architectures import NORMALISATIONS
from tbar_ray.models.formats.base import Format
from tbar_ray.models.formats.evidence import Evidence
from tbar_ray.models.formats.found import Found

TECOA_ENTRY = "vision_encoder_state_dict"


class Tecoa(Format):
    """The image encoder of OpenAI's CLIP, trained adversarially, under an entry of its own."""

    name: ClassVar[str] = f"TeCoA style ({TECOA_ENTRY})"

    def fits(self, found: Found) -> bool:
        """Whether it has the entry."""
        return found.entries[-1:] == (TECOA_ENTRY,)

    def evidence(self, found: Found) -> Evidence:  # noqa: ARG002 - the same for all
        """QuickGELU."""
        return Evidence(
            quick_gelu=True, because="TeCoA fine-tunes OpenAI's image encoder, which computes with QuickGELU"
        )


class Decree(Format):
    """Encoders of the DECREE benchmark: epoch, state_dict, optimizer, of OpenAI's RN50 without its text tower."""

    name: ClassVar[str] = "DECREE (epoch, state_dict, optimizer; image encoder alone)"

    def fits(self, found: Found) -> bool:
        """Whether it has the three entries, and an image encoder alone."""
        entries = found.entries == ("state_dict",) and found.beside.keys() == {"epoch", "optimizer"}
        return entries and found.holds_image_encoder_alone

    def evidence(self, found: Found) -> Evidence:  # noqa: ARG002 - the same for all
        """ImageNet's mean and deviation."""
        return Evidence(
            normalisation=NORMALISATIONS["imagenet"],
            because="DECREE's encoders were trained with ImageNet's mean and deviation",
        )
