"""What the tests of a session compute once, in whichever of its processes comes first: states of trained models."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

FOLDER = "TBAR_TESTS_KEPT"
"""Environment variable that names the session's folder; the processes of xdist inherit it."""


def kept(name: str, compute: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return tensors by name, computed or as an earlier call left them, to the same bits.

    Two processes that ask at once both compute: each writes a file of its own and the last one stays.
    """
    if FOLDER not in os.environ:  # as in a script that uses the tests' helpers
        return compute()
    import torch  # not above: the process that hands out the tests asks for the folder alone

    path = Path(os.environ[FOLDER], f"{name}.pt")
    if not path.exists():
        own = path.with_suffix(f".{os.getpid()}")
        torch.save(compute(), own)
        own.rename(path)
    found: dict[str, Tensor] = torch.load(path, weights_only=True)
    return found
