"""What a checkpoint says of its model beyond its tensors."""

from __future__ import annotations

from dataclasses import dataclass

from tbar_ray.models.architectures import Normalisation


@dataclass(frozen=True)
class Evidence:
    """What weights do not tell, and a file does; None where it does not either.

    Attributes:
        quick_gelu: whether the model computes with QuickGELU.
        normalisation: how its images are normalised.
        heads: attention heads of image and text encoder; 0 for an encoder that has none of its own choosing.
        architecture: a name that the file gives its model, in whatever spelling.
        because: where it says so, for messages.
        stated: whether a configuration states it; else it follows from which program writes such files.
        notes: what is worth knowing of such files.
    """

    quick_gelu: bool | None = None
    normalisation: Normalisation | None = None
    heads: tuple[int, int] | None = None
    architecture: str | None = None
    because: str = ""
    stated: bool = False
    notes: tuple[str, ...] = ()
