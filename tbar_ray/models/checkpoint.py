"""Reading and writing checkpoints. They may come from attackers, so no pickle is ever executed."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from tbar_ray.errors import CheckpointError

WRAPPER, PREFIX = "state_dict", "module."
"""Entry of a training checkpoint that holds the weights, and what DDP puts before every name."""


@dataclass(frozen=True)
class CheckpointFormat:
    """How a checkpoint file names its tensors.

    Attributes:
        safetensors: whether it is a safetensors file, else a torch file.
        wrapper: the entry that holds the state dict; None where the file is the state dict.
        prefix: what stands before every name.
    """

    safetensors: bool
    wrapper: str | None = None
    prefix: str = ""


def load_state_dict(path: Path) -> dict[str, Tensor]:
    """Read a state dict from .safetensors, or from .pt/.pth/.bin with `weights_only=True`.

    The `state_dict` entry of a training checkpoint is unwrapped, and DDP's `module.` prefix is removed if
    every key has it.

    Raises:
        CheckpointError: if the file is missing, damaged, contains pickled code, or contains no tensors.
    """
    return load_checkpoint(path)[0]


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], CheckpointFormat]:
    """Read a state dict as `load_state_dict`, and how the file names it.

    Raises:
        CheckpointError: as `load_state_dict`.
    """
    if not path.is_file():
        raise CheckpointError(f"no checkpoint at {path}")
    if path.suffix == ".safetensors":
        try:
            tensors: dict[str, Tensor] = load_file(path)
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{path} is not a safetensors file: {_first_line(error)}") from None
        return _without_prefix(tensors), CheckpointFormat(True, None, _prefix(tensors))
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = _first_line(error)
        raise CheckpointError(
            f"{path} holds pickled objects, or is no checkpoint, and is refused ({reason}): loading it "
            f"would run its author's code; save its state_dict as safetensors in a sandbox and use that file"
        ) from None
    except Exception as error:  # torch raises many kinds of exception on damaged bytes
        raise CheckpointError(f"{path} is not a readable torch checkpoint: {_first_line(error)}") from None
    wrapper = None
    if isinstance(content, dict) and isinstance(content.get(WRAPPER), dict):
        wrapper, content = WRAPPER, content[WRAPPER]
    named = isinstance(content, dict) and all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in content.items()
    )
    if not named or not content:
        raise CheckpointError(f"{path} holds no state dict (a mapping of names to tensors)")
    return _without_prefix(content), CheckpointFormat(False, wrapper, _prefix(content))


def save_checkpoint(state: dict[str, Tensor], path: Path, form: CheckpointFormat) -> None:
    """Write a state dict in a format; `load_state_dict` reads it back.

    Raises:
        CheckpointError: if the file cannot be written.
    """
    named = {f"{form.prefix}{key}": value for key, value in state.items()}
    try:
        if form.safetensors:
            save_state_dict(named, path)
        else:
            plain = {key: value.detach().cpu().contiguous().clone() for key, value in named.items()}
            torch.save(plain if form.wrapper is None else {form.wrapper: plain}, path)
    except (OSError, RuntimeError, SafetensorError) as error:  # torch raises RuntimeError for a missing folder
        raise CheckpointError(f"cannot write {path}: {_first_line(error)}") from None


def save_state_dict(state: dict[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    """Write a state dict as safetensors; tensors are moved to the CPU and cloned, since they may share memory."""
    save_file({key: value.detach().cpu().contiguous().clone() for key, value in state.items()}, path, metadata)


def _prefix(state: dict[str, Tensor]) -> str:
    return PREFIX if state and all(key.startswith(PREFIX) for key in state) else ""


def _without_prefix(state: dict[str, Tensor]) -> dict[str, Tensor]:
    prefix = _prefix(state)
    return {key.removeprefix(prefix): value for key, value in state.items()}


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    unsupported = [line for line in lines if "Unsupported" in line or "GLOBAL" in line]
    return (unsupported or lines or [type(error).__name__])[0][:160]
