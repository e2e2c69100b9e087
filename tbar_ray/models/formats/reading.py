"""Bytes into tensors. They may come from attackers: no pickle is ever executed, and what is refused is named."""

from __future__ import annotations

import argparse
import pickle
import warnings
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from tbar_ray.errors import CheckpointError
from tbar_ray.models.formats.folders import files_listed
from tbar_ray.models.formats.names import told_names
from tbar_ray.models.formats.sniff import require_checkpoint
from tbar_ray.models.inspection.contents import read_contents

_SCALAR: Final = np.float64(0).__reduce__()[0]
"""numpy's function that makes a scalar; its module is private, and pickles of numpy 1 and 2 name it differently."""
HARMLESS: Final[list[Any]] = [
    argparse.Namespace,
    np.dtype,
    *(type(np.dtype(kind)) for kind in (np.float64, np.float32, np.float16, np.int64, np.int32, np.bool_)),
    *((_SCALAR, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
]
"""What published checkpoints hold beside tensors, and torch does not allow by itself: numpy's scalars (a learning rate
in CleanCLIP's optimizer) and the arguments of a program (PAR's). Neither runs anything when it is read."""


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors of a safetensors file, under the names they have there, and its metadata.

    They are mapped into memory: they are read when they are used, and the file must stay what it is until then.

    Raises:
        CheckpointError: if the file is missing or damaged.
    """
    require_checkpoint(path)
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is not a safetensors file{_broken(error)}") from None


def read_several(index: Path) -> dict[str, Tensor]:
    """Tensors of weights in several files, mapped into memory.

    Raises:
        CheckpointError: if a file of the list is missing or damaged, or lies elsewhere.
    """
    tensors: dict[str, Tensor] = {}
    for file in files_listed(index):
        tensors.update(read_safetensors(file)[0])
    return tensors


def read_torch(path: Path, *, mapped: bool = False) -> object:
    """What a torch file holds, read with `weights_only=True` and `HARMLESS` alone.

    Args:
        path: the file.
        mapped: map tensors into memory, as `read_safetensors` does; a file in torch's format of before 2020 is read
            whole.

    Raises:
        CheckpointError: if the file is missing, damaged or a TorchScript archive, or contains pickled code.
    """
    require_checkpoint(path)
    try:
        with warnings.catch_warnings(), safe_globals(HARMLESS):
            warnings.filterwarnings("ignore", message=".*TorchScript archive")  # told below, in one line
            mappable = mapped and _is_zip(path)
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mappable)
    except pickle.UnpicklingError as error:
        names = unsafe_globals(path)
        what = (
            f"holds pickled objects ({told_names(names)})" if names else "holds pickled objects, or is no checkpoint,"
        )
        reason = "" if names else f" ({told_of(error)})"
        raise CheckpointError(
            f"{path} {what} and is refused{reason}: loading it would run its author's code; save its state_dict as "
            "safetensors in a sandbox and use that file"
        ) from None
    except Exception as error:  # torch raises many kinds of exception on damaged bytes
        if "TorchScript" in str(error):
            raise CheckpointError(
                f"{path} is a TorchScript archive, which holds code, and is refused; expected a state dict: use the "
                f"tag (`openai`), or save the archive's state_dict in a sandbox"
            ) from None
        raise CheckpointError(f"{path} is not a readable torch checkpoint{_broken(error)}") from None


def unsafe_globals(path: Path) -> tuple[str, ...]:
    """Functions and classes that a torch file asks for and is not given; none where that cannot be told."""
    try:
        with safe_globals(HARMLESS):
            return tuple(sorted(get_unsafe_globals_in_checkpoint(path)))
    except Exception:  # it is no archive, or a damaged one
        return read_contents(path).unexpected


def told_of(error: Exception) -> str:
    """The line of an exception of torch's or safetensors' that says most."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    unsupported = [line for line in lines if "Unsupported" in line or "GLOBAL" in line]
    return (unsupported or lines or [type(error).__name__])[0][:160]


def _broken(error: Exception) -> str:
    """The first sentence of what a library says of damaged bytes, and what to do."""
    return f" ({told_of(error).partition('. ')[0]}): if its copy or download broke off, fetch it again"


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"
