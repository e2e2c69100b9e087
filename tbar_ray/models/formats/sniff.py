"""Telling from its first bytes that a file is no checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tbar_ray.errors import CheckpointError
from tbar_ray.foreign import foreign

TAR: Final = (257, b"ustar")
"""Place and content of the mark of a tar archive."""
TORCH: Final = (b"PK\x03\x04", b"\x80\x02")
"""First bytes of torch files: an archive, or the pickle of before 2020."""


def require_checkpoint(path: Path) -> None:
    """Refuse what is plainly something else.

    Raises:
        CheckpointError: if the file is missing, or is a tar, a web page, …
    """
    if not path.is_file():
        raise CheckpointError(f"no checkpoint at {path}")
    try:
        with path.open("rb") as file:
            start = file.read(512)
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from None
    if start[TAR[0] :].startswith(TAR[1]):
        raise CheckpointError(
            f"{path} is a tar archive (shards of data?), not a checkpoint: give a .pt or .safetensors file"
        )
    if (what := foreign(start)) is not None:
        raise CheckpointError(f"{path} is {what}")
    if not start:
        raise CheckpointError(f"{path} is empty: fetch it again")
    is_named_safetensors = path.suffix == ".safetensors"
    if is_named_safetensors and start.startswith(TORCH):
        raise CheckpointError(f"{path} is a torch file by its content: let its name end in .pt")
    if not is_named_safetensors and start[8:9] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size:
        raise CheckpointError(f"{path} is a safetensors file by its content: let its name end in .safetensors")
