"""Reading and writing checkpoints of every known format. No pickle is ever executed: they may come from attackers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from tbar_ray.data.places import is_file, is_remote
from tbar_ray.errors import CheckpointError
from tbar_ray.models.formats.entries import find_state_dict
from tbar_ray.models.formats.evidence import Evidence
from tbar_ray.models.formats.folders import (
    INDEX,
    files_beside,
    is_checkpoint_folder,
    is_safetensors,
    weights_in,
)
from tbar_ray.models.formats.found import Found
from tbar_ray.models.formats.kept import kept_of
from tbar_ray.models.formats.layouts import OPEN_CLIP, Layout
from tbar_ray.models.formats.names import Names, plain_names
from tbar_ray.models.formats.reading import read_safetensors, read_several, read_torch, told_of
from tbar_ray.models.formats.registry import recognise
from tbar_ray.models.formats.replacing import replacing
from tbar_ray.models.formats.transformers_clip import WEIGHTS as ONE_FILE

SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".th")


def is_weights_file(weights: str | Path) -> bool:
    """Whether weights are named by a file, a checkpoint's folder or a URL, and not by one of open_clip's tags."""
    text = str(weights)
    as_path = "/" in text or text.startswith(("~", "$")) or text.endswith(SUFFIXES)
    return as_path or is_remote(text) or is_file(text) or is_checkpoint_folder(text)


@dataclass(frozen=True)
class CheckpointFormat:
    """How a checkpoint names its tensors, and what it holds beside them: all that writing it back needs.

    Attributes:
        safetensors: whether it is a safetensors file, else a torch file.
        entries: the entries, from the outermost, behind which the state dict is; none where the file is the state dict.
        prefix: what stands before every name.
        layout: how names and shapes differ from open_clip's.
        weights: of a folder, the name of the file of its weights; empty for a file.
        name: whose format it is, for people.
        evidence: what it says of the model.
        written: names in the file, by those without prefix and wrappers.
        others: what is no tensor of the model, by its name in the file: a classifier, counters.
        kept: what stands beside the state dict (`kept_of`), such as `epoch`.
        metadata: of a safetensors file.
        files: of a folder, the other files.
    """

    safetensors: bool
    entries: tuple[str, ...] = ()
    prefix: str = ""
    layout: Layout = OPEN_CLIP
    weights: str = ""
    name: str = field(default="", compare=False)
    evidence: Evidence = field(default_factory=Evidence, compare=False)
    written: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    others: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)
    kept: Mapping[str, object] = field(default_factory=dict, compare=False, repr=False)
    metadata: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    files: Mapping[str, bytes] = field(default_factory=dict, compare=False, repr=False)

    def tensors_of(self, name: str, value: Tensor) -> dict[str, Tensor]:
        """What stands in the file for one of open_clip's tensors."""
        parts = self.layout.parts(name, value).items()
        return {self.written.get(plain, f"{self.prefix}{plain}"): part for plain, part in parts}


def load_state_dict(path: Path) -> dict[str, Tensor]:
    """Read a state dict under open_clip's names, as `load_checkpoint`.

    Raises:
        CheckpointError: as `load_checkpoint`.
    """
    return load_checkpoint(path)[0]


def load_checkpoint(path: Path, *, mapped: bool = False) -> tuple[dict[str, Tensor], CheckpointFormat]:
    """Read a state dict under open_clip's names, and how the checkpoint names it.

    Args:
        path: a .safetensors file, a torch file (.pt, .pth, .bin), which is read with `weights_only=True`, or a folder
            with the configuration of open_clip or transformers. The state dict is taken out of a training checkpoint's
            `ENTRIES`; `PREFIXES` are removed if every name has them, `WRAPPED` wherever they stand.
        mapped: map tensors of a torch file into memory instead of reading them; the file must stay what it is.

    Raises:
        CheckpointError: if the file is missing, damaged, contains pickled code, or contains no tensors.
    """
    weights = weights_in(path) if path.is_dir() else path
    found, names = _found(weights, mapped)
    kind = recognise(found)
    layout = kind.layout(found)
    own = layout.own({name: value for name, value in names.tensors.items() if layout.is_part(name)})
    apart = {names.written[name]: value for name, value in names.tensors.items() if not layout.is_part(name)}
    try:
        evidence = kind.evidence(found)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
    return own, CheckpointFormat(
        safetensors=found.safetensors,
        entries=found.entries,
        prefix=names.prefix,
        layout=layout,
        weights=(ONE_FILE if weights.name == INDEX else weights.name) if path.is_dir() else "",
        name=kind.name,
        evidence=evidence,
        written=names.written,
        # copied, since the file may be overwritten
        others={k: v.clone() if isinstance(v, Tensor) else v for k, v in {**names.others, **apart}.items()},
        kept=kept_of(found.beside),
        metadata=found.metadata,
        files=found.files if path.is_dir() else {},
    )


def _found(weights: Path, mapped: bool) -> tuple[Found, Names]:
    """Read a file, or the files that an index lists, and take off what stands before names."""
    state: dict[str, Any]
    metadata: dict[str, str] = {}
    entries, beside = tuple[str, ...](), dict[str, object]()
    if weights.name == INDEX:
        state = dict(read_several(weights))
    elif weights.suffix == ".safetensors":
        state, metadata = read_safetensors(weights)
    else:
        state, entries, beside = find_state_dict(weights, read_torch(weights, mapped=mapped))
    if not state:
        raise CheckpointError(f"{weights} holds no tensors")
    names, safetensors = plain_names(weights, state), is_safetensors(weights)
    return Found(names.tensors, names.prefix, safetensors, entries, beside, metadata, files_beside(weights)), names


def load_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read the tensors of a safetensors file, under the names they have there, and its metadata.

    Raises:
        CheckpointError: if the file is missing or damaged.
    """
    return read_safetensors(path)


def save_checkpoint(state: Mapping[str, Tensor], path: Path, form: CheckpointFormat) -> None:
    """Write a state dict in a format; `load_checkpoint` reads it back.

    Args:
        state: tensors under open_clip's names.
        path: the file, or for a format with `weights` the folder, which is made.
        form: the format.

    Raises:
        CheckpointError: if the file cannot be written.
    """
    named: dict[str, Any] = dict(form.others)
    for key, value in state.items():
        named.update(form.tensors_of(key, value.detach()))
    try:
        with replacing(prepare_folder(path, form)) as target:
            if form.safetensors:
                save_state_dict(named, target, dict(form.metadata) or None)
            else:
                save_torch(named, target, form)
    except (OSError, RuntimeError, SafetensorError) as error:  # torch raises RuntimeError for a missing folder
        raise CheckpointError(f"cannot write {path}: {told_of(error)}") from None


def prepare_folder(path: Path, form: CheckpointFormat) -> Path:
    """Where the weights go: the path itself, or a file in a folder that gets the format's other files."""
    if not form.weights:
        return path
    path.mkdir(parents=True, exist_ok=True)
    for name, content in form.files.items():
        (path / name).write_bytes(content)
    return path / form.weights


def save_torch(named: Mapping[str, Any], path: Path, form: CheckpointFormat) -> None:
    """Write tensors under a file's names as a torch file, with the entries of a format."""
    content: dict[str, Any] = {
        key: value.detach().cpu().contiguous().clone() if isinstance(value, Tensor) else value
        for key, value in named.items()
    }
    for entry in reversed(form.entries):
        content = {entry: content}
    torch.save({**form.kept, **content}, path)


def save_state_dict(state: dict[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    """Write a state dict as safetensors, from the CPU; tensors that share memory are written each for itself.

    Whoever may read the folder may read the file: safetensors itself lets in its owner alone.
    """
    save_file(_apart({key: value.detach().cpu().contiguous() for key, value in state.items()}), path, metadata)
    path.chmod(path.parent.stat().st_mode & 0o666)


def _apart(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors, no two of which share memory: those that would are copied."""
    taken: set[int] = set()
    apart = {}
    for key, value in state.items():
        place = value.untyped_storage().data_ptr()
        apart[key] = value.clone() if place in taken else value
        taken.add(place)
    return apart
