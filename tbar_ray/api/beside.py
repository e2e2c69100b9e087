"""The parts of an edit that are not weights of the model, in memory and as a file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from safetensors import safe_open
from torch import Tensor

from tbar_ray.models.checkpoint import load_state_dict, save_state_dict


@dataclass(frozen=True, eq=False)
class Beside:
    """A classifier and learned tokens; most edits have neither.

    Attributes:
        head: float [C, D], unit rows, a classifier in place of the zero-shot head.
        names: the C classes that it is for.
        prompts: float [layers, tokens, width], learned tokens of a vision transformer's last layers.
    """

    head: Tensor | None = None
    names: tuple[str, ...] = ()
    prompts: Tensor | None = None

    def parts(self) -> dict[str, Tensor]:
        """Tensors that are present, by name: `head`, `prompts`, both or none."""
        both = {"head": self.head, "prompts": self.prompts}
        return {name: part for name, part in both.items() if part is not None}

    def save(self, weights: Path) -> list[Path]:
        """Write the parts to a file beside the weights; remove the file that an earlier model left there."""
        path = _file(weights)
        if not self.parts():
            path.unlink(missing_ok=True)
            return []
        save_state_dict(self.parts(), path, {"classes": json.dumps(self.names)})
        return [path]

    @classmethod
    def load(cls, weights: Path) -> Beside:
        """Read the parts beside a file of weights; without such a file there are none.

        Raises:
            CheckpointError: if the file is broken.
        """
        path = _file(weights)
        if not path.is_file():
            return cls()
        parts = load_state_dict(path)
        with safe_open(path, "pt") as file:
            names = json.loads((file.metadata() or {}).get("classes", "[]"))
        return cls(parts.get("head"), tuple(names), parts.get("prompts"))


def _file(weights: Path) -> Path:
    name = weights.name if weights.is_dir() else weights.stem
    return weights.with_name(f"{name}.beside.safetensors")
