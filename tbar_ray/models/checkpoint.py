"""Reading and writing checkpoints. They may come from attackers, so no pickle is ever executed."""

from __future__ import annotations

import pickle
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from tbar_ray.data.places import is_file, is_remote
from tbar_ray.errors import CheckpointError

ENTRIES = (
    "state_dict", "model_state_dict", "model", "module", "net", "network", "clip", "weights", "params",
    "ema", "model_ema", "ema_model", "ema_state_dict", "state_dict_ema", "model_ema_state_dict", "student",
)  # fmt: skip
"""Entries of training checkpoints that hold weights, or a dictionary with such an entry. The first that is there
counts: trained weights before their moving average."""
PREFIXES = (
    "module.", "model.", "clip.", "clip_model.", "net.", "network.", "backbone.", "student.", "_forward_module.",
    "_module.",
)  # fmt: skip
"""What programs put before every name, in any order and nested; `module.` is DDP's, `_module.` Opacus's."""
WRAPPED = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")
"""What torch.compile, FSDP and activation checkpointing put before the names of a module, at any depth."""
BESIDES = frozenset({"input_resolution", "context_length", "vocab_size", "n_averaged"})
"""Numbers that checkpoints keep among the weights: three of OpenAI's, and the count of torch's AveragedModel."""
SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".th")
SHOWN = 6
"""Entries that a refusal names."""


def is_weights_file(weights: str | Path) -> bool:
    """Whether weights are named by a file or its URL, and not by one of open_clip's tags."""
    text = str(weights)
    as_path = "/" in text or text.startswith(("~", "$")) or text.endswith(SUFFIXES)
    return as_path or is_remote(text) or is_file(text)


@dataclass(frozen=True)
class CheckpointFormat:
    """How a checkpoint file names its tensors.

    Attributes:
        safetensors: whether it is a safetensors file, else a torch file.
        entries: the entries, from the outermost, behind which the state dict is; none where the file is the state dict.
        prefix: what stands before every name.
    """

    safetensors: bool
    entries: tuple[str, ...] = ()
    prefix: str = ""


def load_state_dict(path: Path) -> dict[str, Tensor]:
    """Read a state dict from .safetensors, or from .pt/.pth/.bin with `weights_only=True`.

    The state dict is taken out of a training checkpoint's `ENTRIES`. `PREFIXES` are removed if every key has them,
    `WRAPPED` wherever they stand, and the numbers of `BESIDES` are left out.

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
        tensors, _ = load_safetensors(path)
        if not tensors:
            raise CheckpointError(f"{path} holds no tensors")
        plain, prefix = _plain(path, tensors)
        return plain, CheckpointFormat(True, (), prefix)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*TorchScript archive")  # told below, in one line
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = _first_line(error)
        raise CheckpointError(
            f"{path} holds pickled objects, or is no checkpoint, and is refused ({reason}): loading it "
            f"would run its author's code; save its state_dict as safetensors in a sandbox and use that file"
        ) from None
    except Exception as error:  # torch raises many kinds of exception on damaged bytes
        if "TorchScript" in str(error):
            raise CheckpointError(
                f"{path} is a TorchScript archive, which holds code, and is refused; expected a state dict: use the "
                f"tag (`openai`), or save the archive's state_dict in a sandbox"
            ) from None
        raise CheckpointError(f"{path} is not a readable torch checkpoint: {_first_line(error)}") from None
    state, entries = _state_dict(path, content)
    plain, prefix = _plain(path, state)
    return plain, CheckpointFormat(False, entries, prefix)


def load_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read the tensors of a safetensors file, under the names they have there, and its metadata.

    Raises:
        CheckpointError: if the file is missing or damaged.
    """
    if not path.is_file():
        raise CheckpointError(f"no checkpoint at {path}")
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is not a safetensors file: {_first_line(error)}") from None


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
            content: dict[str, Any] = plain
            for entry in reversed(form.entries):
                content = {entry: content}
            torch.save(content, path)
    except (OSError, RuntimeError, SafetensorError) as error:  # torch raises RuntimeError for a missing folder
        raise CheckpointError(f"cannot write {path}: {_first_line(error)}") from None


def save_state_dict(state: dict[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    """Write a state dict as safetensors, from the CPU; tensors that share memory are written each for itself."""
    save_file(_apart({key: value.detach().cpu().contiguous() for key, value in state.items()}), path, metadata)


def _apart(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors, no two of which share memory: those that would are copied."""
    taken: set[int] = set()
    apart = {}
    for key, value in state.items():
        place = value.untyped_storage().data_ptr()
        apart[key] = value.clone() if place in taken else value
        taken.add(place)
    return apart


def _state_dict(path: Path, content: object) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Find the state dict in what a file holds, and the entries that lead to it."""
    place, entries = content, list[str]()
    while isinstance(place, Mapping) and not _is_state_dict(place):
        entry = next((name for name in ENTRIES if isinstance(place.get(name), Mapping)), None)
        if entry is None or len(entries) == len(ENTRIES):
            break
        place, entries = place[entry], [*entries, entry]
    if not isinstance(place, Mapping) or not _is_state_dict(place):
        within = f" under {'.'.join(entries)}" if entries else ""
        raise CheckpointError(
            f"{path} holds no state dict: expected a mapping of names to tensors, as the file or as its entry "
            f"{', '.join(ENTRIES[:3])}, …; found{within} {_told(place)}"
        )
    return {key: value for key, value in place.items() if isinstance(value, Tensor)}, tuple(entries)


def _is_state_dict(content: Mapping[Any, Any]) -> bool:
    weights = {key: value for key, value in content.items() if key not in BESIDES}
    return bool(weights) and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in weights.items())


def _told(content: object) -> str:
    """Say what something that is no state dict is."""
    if not isinstance(content, Mapping):
        return f"a {type(content).__name__}"
    if not content:
        return "an empty mapping"
    named = [f"{str(key)[:40]!r} ({type(value).__name__})" for key, value in list(content.items())[:SHOWN]]
    return "the entries " + ", ".join(named) + (f" and {len(content) - SHOWN} more" if len(content) > SHOWN else "")


def _plain(path: Path, state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], str]:
    """A state dict under the names of the model itself, and the prefix that stood before all of them."""
    plain = {key: value for key, value in state.items() if not (key in BESIDES and value.numel() == 1)} or dict(state)
    whole = ""
    while prefix := next((p for p in (*PREFIXES, *WRAPPED) if all(key.startswith(p) for key in plain)), ""):
        plain, whole = {key.removeprefix(prefix): value for key, value in plain.items()}, whole + prefix
    names = {key: _unwrapped(key) for key in plain}
    if len(set(names.values())) < len(names):
        twice = next(name for name, count in Counter(names.values()).items() if count > 1)
        raise CheckpointError(f"{path} has {twice} twice, with and without {' or '.join(WRAPPED)}")
    return {names[key]: value for key, value in plain.items()}, whole


def _unwrapped(key: str) -> str:
    for wrapped in WRAPPED:
        key = key.removeprefix(wrapped).replace(f".{wrapped}", ".")
    return key


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    unsupported = [line for line in lines if "Unsupported" in line or "GLOBAL" in line]
    return (unsupported or lines or [type(error).__name__])[0][:160]
