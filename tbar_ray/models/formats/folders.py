"""Folders of a checkpoint: configuration, weights, files of the tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tbar_ray.data.places import exists, is_folder
from tbar_ray.errors import CheckpointError
from tbar_ray.models.formats.configurations import read_json, section
from tbar_ray.models.formats.hub_folder import CONFIG as HUB
from tbar_ray.models.formats.transformers_clip import CONFIG as TRANSFORMERS

WEIGHTS: Final = (
    "open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin",
    "open_clip_pytorch_model.pth", "model.safetensors", "pytorch_model.bin", "pytorch_model.pth", "model.pth",
)  # fmt: skip
"""Names of the weights, in the order in which open_clip takes them where there are several."""
ARTIFACT: Final = ("artifact.json", "weights.safetensors")
"""Record and weights in the folder of a campaign's model."""
INDEX: Final = "model.safetensors.index.json"
"""Of weights in several files: transformers' list of which tensor is where."""
MOST: Final = 8 << 20
"""Bytes of the largest file that is kept beside the weights; vocabularies have 2 MB."""


def is_checkpoint_folder(path: str | Path) -> bool:
    """Whether a folder has a configuration of open_clip or transformers."""
    return is_folder(path) and any(exists(Path(path) / name) for name in (HUB, TRANSFORMERS))


def weights_in(folder: Path) -> Path:
    """The file of the weights, also of a campaign's model; of weights in several files the list of them.

    Raises:
        CheckpointError: if there is none.
    """
    if all((folder / name).is_file() for name in ARTIFACT):
        return folder / ARTIFACT[1]
    if not is_checkpoint_folder(folder):
        raise CheckpointError(f"no checkpoint at {folder}: a folder needs {HUB} or {TRANSFORMERS} beside the weights")
    found = next((folder / name for name in (*WEIGHTS, INDEX) if (folder / name).is_file()), None)
    if found is None:
        raise CheckpointError(f"{folder} has a configuration but no weights: expected {WEIGHTS[0]}, {WEIGHTS[4]}, …")
    return found


def files_listed(index: Path) -> list[Path]:
    """The files of weights in several files.

    Raises:
        CheckpointError: if there are none, or one lies elsewhere.
    """
    listed = section(read_json({INDEX: index.read_bytes()}, INDEX), "weight_map")
    names = sorted({str(name) for name in listed.values()})
    if not names:
        raise CheckpointError(f"{index} lists no files; fetch the folder again")
    for name in names:
        if not name or Path(name).name != name:
            raise CheckpointError(f"{index} names {name!r}, which is not in its folder")
    return [index.with_name(name) for name in names]


def is_safetensors(weights: Path) -> bool:
    """Whether weights are a safetensors file, or several."""
    return weights.suffix == ".safetensors" or weights.name == INDEX


def files_beside(weights: Path) -> dict[str, bytes]:
    """Configuration and tokenizer: JSON and text files beside weights that have one of the usual names."""
    if weights.name not in (*WEIGHTS, INDEX) or not is_checkpoint_folder(weights.parent):
        return {}
    named = sorted(path for pattern in ("*.json", "*.txt") for path in weights.parent.glob(pattern))
    return {path.name: path.read_bytes() for path in named if path.name != INDEX and path.stat().st_size <= MOST}
