"""A cleaned model as a file of the format that came in: what the edit did not touch keeps its bits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePath

import torch
from torch import Tensor

from tbar_ray.api.model import TORCH_SUFFIXES, Model
from tbar_ray.data.places import is_folder, resolve
from tbar_ray.errors import CheckpointError, SpecError
from tbar_ray.models.checkpoint import SUFFIXES, CheckpointFormat, load_checkpoint, save_checkpoint


def cleaned_name(source: str, original: Path | None) -> str:
    """The name of the cleaned file where the user gives none: `infected.pt` becomes `infected.cleaned.pt`.

    Args:
        source: the checkpoint as it was named: a file, a URL, a folder or a tag.
        original: the file that was read; None for a tag.
    """
    suffix = ".safetensors" if original is None or original.suffix not in TORCH_SUFFIXES else original.suffix
    return f"{stem_of(source)}.cleaned{suffix}"


def stem_of(source: str) -> str:
    """The name of a checkpoint without folders and suffix, for the names of files that are made of it."""
    name = PurePath(source.partition("?")[0]).name
    return PurePath(name).stem if name.endswith(SUFFIXES) else name


def check_out(out: str | Path, original: Path | None) -> Path:
    """The place of the cleaned file, if it can be written there; asked before hours of work.

    Raises:
        SpecError: if its suffix is unknown, its folder is missing, or it is the checkpoint itself.
    """
    path = Path(resolve(out))
    if path.suffix not in {".safetensors", *TORCH_SUFFIXES}:
        raise SpecError(f"--out {path}: end its name in .safetensors, {', '.join(TORCH_SUFFIXES)}")
    if not is_folder(path.parent):
        raise SpecError(f"--out {path}: there is no folder {path.parent}; make it first")
    if original is not None and path.exists() and path.samefile(original):
        raise SpecError(f"--out {path} is the checkpoint itself, which is kept; give another name")
    return path


def write_cleaned(model: Model, original: Path | None, out: Path) -> list[Path]:
    """Write a cleaned model; return the files written.

    In the type of file that came in, tensors keep the entries (`state_dict`) and prefixes (`module.`) that they had
    there; in the other type they have plain names. A tensor that still has the values of the original is written with
    the original's own bits and type of number; all others are float32, as they were scored.

    A classifier or tokens beside the weights go to a second file, `<name>.beside.safetensors`.

    Args:
        model: the cleaned model.
        original: the file that came in; None where there was none.
        out: `.safetensors` or a torch file, by its suffix.

    Raises:
        CheckpointError: if a file cannot be written.
    """
    if original is None:
        return model.save(out)
    state, form = load_checkpoint(original)
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
    return [out, *model.beside.save(out)]


def _same(original: Tensor, value: Tensor) -> bool:
    """Whether a model's tensor still has the values that it was loaded with."""
    return torch.equal(original.to(value.device, value.dtype), value)
