"""What is known of a published format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from tbar_ray.models.formats.evidence import Evidence
from tbar_ray.models.formats.found import Found
from tbar_ray.models.formats.layouts import IMAGE_ENCODER, OPEN_CLIP, Layout


class Format(ABC):
    """A program's way of writing checkpoints: how to know it, its names, and what it tells of a model."""

    name: ClassVar[str]
    """For people: whose format it is."""

    @abstractmethod
    def fits(self, found: Found) -> bool:
        """Whether a file is of this format."""

    def layout(self, found: Found) -> Layout:
        """How it names tensors: as open_clip does, unless it holds an image encoder alone."""
        return IMAGE_ENCODER if found.holds_image_encoder_alone else OPEN_CLIP

    def evidence(self, found: Found) -> Evidence:  # noqa: ARG002 - for subclasses
        """What such a file tells of its model.

        Raises:
            CheckpointError: if it contradicts itself, or names a model that open_clip cannot compute.
        """
        return Evidence()
