"""A cleaned model in the format that came in, a file or a folder: what the edit did not touch keeps its bits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePath

import torch
from torch import Tensor

from tbar_ray.api.model import TORCH_SUFFIXES, Model
from tbar_ray.data.places import is_file, is_folder, resolve
from tbar_ray.errors import CheckpointError, SpecError
from tbar_ray.models.checkpoint import SUFFIXES, CheckpointFormat, load_checkpoint, save_checkpoint
from tbar_ray.models.formats.folders import is_checkpoint_folder, weights_in

FILES = (".safetensors", *TORCH_SUFFIXES)
"""How names of files end that can be written; of a checkpoint that came as a folder, any other name is a folder."""


def cleaned_name(source: str, original: Path | None) -> str:
    """The name of the cleaned checkpoint where the user gives none: `infected.pt` becomes `infected.cleaned.pt`.

    Args:
        source: the checkpoint as it was named: a file, a URL, a folder or a tag.
        original: the file or folder that was read; None for a tag.
    """
    if original is not None and original.is_dir():
        return f"{original.resolve().name}.cleaned"
    suffix = ".safetensors" if original is None or original.suffix not in TORCH_SUFFIXES else original.suffix
    return f"{stem_of(source)}.cleaned{suffix}"


def stem_of(source: str) -> str:
    """The name of a checkpoint without folders and suffix, for the names of files that are made of it."""
    name = PurePath(source.partition("?")[0]).name
    return PurePath(name).stem if name.endswith(SUFFIXES) else name


def folder_named(checkpoint: str) -> Path | None:
    """The folder of open_clip or transformers that a checkpoint's name stands for; None for any other checkpoint."""
    place = resolve(checkpoint)
    return Path(place) if is_checkpoint_folder(place) else None


def check_out(out: str | Path, original: Path | None) -> Path:
    """The place of the cleaned file or folder, if it can be written there; asked before hours of work.

    Args:
        out: ends in one of `FILES`; or, where the checkpoint is a folder, in anything else, for a folder.
        original: the checkpoint that came in; None for a tag, or where it is not known yet.

    Raises:
        SpecError: if its suffix is unknown, its folder is missing, it is the checkpoint itself, something of the other
            kind has its name, or it is a folder with other content.
    """
    path = Path(resolve(out))
    if not is_folder(path.parent):
        raise SpecError(f"--out {path}: there is no folder {path.parent}; make it first")
    if path.suffix in FILES:
        if is_folder(path):
            raise SpecError(f"--out {path}: is a folder; give a file")
    elif original is None or not original.is_dir():
        raise SpecError(f"--out {path}: end its name in {', '.join(FILES)}")
    elif is_file(path):
        raise SpecError(f"--out {path}: is a file; give a folder, as the checkpoint is one, or end it in {FILES[0]}")
    elif is_folder(path) and any(path.iterdir()) and not is_checkpoint_folder(path):
        raise SpecError(f"--out {path}: holds other files; give a new folder")
    if original is not None and path.exists() and any(path.samefile(part) for part in _parts(original)):
        raise SpecError(f"--out {path} is the checkpoint itself, which is kept; give another name")
    return path


def _parts(original: Path) -> list[Path]:
    """What must not be written over: a file, or a folder and the weights in it."""
    return [original, weights_in(original)] if original.is_dir() else [original]


def write_cleaned(model: Model, original: Path | None, out: Path) -> list[Path]:
    """Write a cleaned model; return the files written, the weights first.

    In the type of file that came in, tensors keep the entries (`state_dict`) and prefixes (`module.`) that they had
    there; in the other type they have plain names. A folder gets the configuration and tokenizer that came in beside
    the weights, in one file. A tensor that still has the values of the original is written with
    the original's own bits and type of number; all others are float32, as they were scored.

    A classifier or tokens beside the weights go to a second file, `<name>.beside.safetensors`.

    Args:
        model: the cleaned model.
        original: the file or folder that came in; None where there was none.
        out: as `check_out` has it: `.safetensors` or a torch file by its suffix, else a folder.

    Raises:
        CheckpointError: if a file cannot be written.
    """
    if original is None:
        return model.save(out)
    state, form = load_checkpoint(original)
    if out.suffix in FILES:
        form = replace(form, weights="")  # of a folder the weights alone are written: `out` is a file
        if form.safetensors != (out.suffix == ".safetensors"):
            form = CheckpointFormat(not form.safetensors)
    live = model.module.state_dict()
    if not state.keys() <= live.keys():
        raise CheckpointError(f"{original} is no longer the file that was read; nothing was written")
    for key in state:
        if not _same(state[key], live[key]):
            state[key] = live[key].detach()
    save_checkpoint(state, out, form)
    written = [out / name for name in (form.weights, *form.files)] if form.weights else [out]
    return [*written, *model.beside.save(out)]


def _same(original: Tensor, value: Tensor) -> bool:
    """Whether a model's tensor still has the values that it was loaded with."""
    return torch.equal(original.to(value.device, value.dtype), value)
