"""A checkpoint that was read, before it is known which program wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Found:
    """What is in a file, or in a folder of a file and its configuration.

    Attributes:
        tensors: the state dict, of tensors or of what is known of them (`TensorInfo`), without what stood before every
            name and what programs wrap around modules.
        prefix: what stood before every name.
        safetensors: whether it is a safetensors file, else a torch file.
        entries: the entries, from the outermost, behind which the state dict was.
        beside: the other entries of the file.
        metadata: of a safetensors file.
        files: JSON and text files of the folder, by name; none of a single file.
    """

    tensors: Mapping[str, Any]
    prefix: str = ""
    safetensors: bool = False
    entries: tuple[str, ...] = ()
    beside: Mapping[str, object] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)

    def has(self, *beside: str) -> bool:
        """Whether the file has all of these entries beside the state dict."""
        return all(name in self.beside for name in beside)

    @property
    def holds_image_encoder_alone(self) -> bool:
        """Whether the names are those of an image encoder, without `visual.` before them."""
        names = self.tensors
        if any(name.startswith(("visual.", "text.", "token_embedding.")) for name in names):
            return False
        return "conv1.weight" in names or any(name.startswith("trunk.") for name in names)
