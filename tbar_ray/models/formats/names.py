"""What programs put before the names of a state dict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from tbar_ray.errors import CheckpointError
from tbar_ray.models.formats.entries import BESIDES
from tbar_ray.models.formats.tensor_info import is_tensor

PREFIXES = (
    "module.", "model.", "clip.", "clip_model.", "net.", "network.", "backbone.", "student.", "_forward_module.",
    "_module.",
)  # fmt: skip
"""What programs put before every name, in any order and nested; `module.` is DDP's, `_module.` Opacus's."""
WRAPPED = ("_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")
"""What torch.compile, FSDP and activation checkpointing put before the names of a module, at any depth."""
COUNTERS = ("total_ops", "total_params")
"""Last parts of the names of thop's counters of operations, which Detect-CLIP's loader takes out of its files."""

SHOWN = 4
"""Names that a message lists."""


@dataclass(frozen=True)
class Names:
    """A state dict under the names of the model itself.

    Attributes:
        tensors: its tensors.
        prefix: what stood before every name.
        written: names of the file, by the plain ones.
        others: what is no tensor of a model, under its name in the file: numbers, counters of other programs.
    """

    tensors: dict[str, Any]
    prefix: str
    written: dict[str, str]
    others: dict[str, Any]


def plain_names(path: Path, state: Mapping[str, Any]) -> Names:
    """Take prefixes and wrappers off.

    Raises:
        CheckpointError: if two names are one without their wrappers.
    """
    written = {key: key for key, value in state.items() if not _is_beside(key, value)} or {key: key for key in state}
    whole = ""
    while prefix := next((p for p in (*PREFIXES, *WRAPPED) if all(key.startswith(p) for key in written)), ""):
        written, whole = {key.removeprefix(prefix): name for key, name in written.items()}, whole + prefix
    plain = {key: _unwrapped(key) for key in written}
    if len(set(plain.values())) < len(plain):
        twice = next(name for name, count in Counter(plain.values()).items() if count > 1)
        raise CheckpointError(f"{path} has {twice} twice, with and without {' or '.join(WRAPPED)}")
    written = {plain[key]: name for key, name in written.items()}
    taken = set(written.values())
    others = {name: value for name, value in state.items() if name not in taken}
    return Names({key: state[name] for key, name in written.items()}, whole, written, others)


def mixed_prefix(names: Mapping[str, object]) -> tuple[str, int] | None:
    """A prefix that some names have and others not, and how many have it; None where there is no such."""
    for prefix in (*PREFIXES, *WRAPPED):
        count = sum(name.startswith(prefix) for name in names)
        if 0 < count < len(names):
            return prefix, count
    return None


def _is_beside(key: str, value: Any) -> bool:
    if not is_tensor(value):
        return True
    return key.rpartition(".")[2] in BESIDES.union(COUNTERS) and prod(value.shape) == 1


def _unwrapped(key: str) -> str:
    for wrapped in WRAPPED:
        key = key.removeprefix(wrapped).replace(f".{wrapped}", ".")
    return key


def told_names(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
