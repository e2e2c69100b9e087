"""State dicts that say nothing of the program that wrote them."""

from __future__ import annotations

from typing import ClassVar

from tbar_ray.errors import SpecError
from tbar_ray.models.architectures import architecture_config, normalisation_of
from tbar_ray.models.formats.base import Format
from tbar_ray.models.formats.evidence import Evidence
from tbar_ray.models.formats.found import Found

ARCHITECTURE = "architecture"
"""Entry of the metadata in which `tbar model convert` names the architecture."""
DETECT_CLIP = (
    "Detect-CLIP publishes such files (model_state_dict.pt) of models that see images without normalisation, mean 0 "
    "and deviation 1: name them …@unnormalised"
)


class Plain(Format):
    """A state dict as a file, or as an entry of one."""

    name: ClassVar[str] = "state dict"

    def fits(self, found: Found) -> bool:  # noqa: ARG002 - what no other format wants
        """Always."""
        return True

    def evidence(self, found: Found) -> Evidence:
        """What `tbar model convert` was told of the model, if it wrote the file."""
        named = found.metadata.get(ARCHITECTURE)
        if named is None:
            return Evidence(notes=() if found.entries or found.safetensors else (DETECT_CLIP,))
        try:
            config, normalisation = architecture_config(named), normalisation_of(named)
        except SpecError:  # of another version, or of another program
            return Evidence(architecture=named)
        return Evidence(
            quick_gelu=bool(config.get("quick_gelu", False)),
            normalisation=normalisation,
            architecture=named,
            because=f"its metadata name {named}",
            stated=True,
        )
