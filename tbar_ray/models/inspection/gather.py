"""Everything that the headers of a checkpoint's files say, put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tbar_ray.errors import CheckpointError
from tbar_ray.models.formats.entries import find_state_dict
from tbar_ray.models.formats.folders import INDEX, files_beside, files_listed, is_safetensors
from tbar_ray.models.formats.found import Found
from tbar_ray.models.formats.names import Names, plain_names
from tbar_ray.models.formats.sniff import require_checkpoint
from tbar_ray.models.formats.tensor_info import TensorInfo
from tbar_ray.models.inspection.contents import Contents, read_contents


@dataclass(frozen=True)
class Gathered:
    """What headers say.

    Attributes:
        contents: of every file of the weights.
        tensors: of every file, by their names in it.
        names: all of them, without prefix; None where no state dict was found.
        found: the same with what lies beside it; None likewise.
        problems: one line each.
    """

    contents: Mapping[Path, Contents]
    tensors: Mapping[Path, Mapping[str, TensorInfo]]
    names: Names | None
    found: Found | None
    problems: tuple[str, ...]

    @property
    def unexpected(self) -> tuple[str, ...]:
        """Functions and classes that a pickle would call."""
        return tuple(sorted({name for content in self.contents.values() for name in content.unexpected}))


def gather(weights: Path) -> Gathered:
    """Read the headers of a file, or of the files that an index lists.

    Raises:
        CheckpointError: if a file is missing, or is plainly no checkpoint.
        OSError: if it cannot be read.
    """
    contents: dict[Path, Contents] = {}
    for file in _files(weights):
        require_checkpoint(file)
        contents[file] = read_contents(file)
    problems = [f"{file.name} {content.problem}" for file, content in contents.items() if content.problem is not None]
    state: dict[str, Any] = {}
    tensors: dict[Path, Mapping[str, TensorInfo]] = {}
    entries, beside = tuple[str, ...](), dict[str, object]()
    for file, content in contents.items():
        if content.content is None:
            continue
        try:
            part, entries, beside = find_state_dict(file, content.content)
        except CheckpointError as error:
            problems.append(str(error).replace(str(file), file.name))
            continue
        state.update(part)
        tensors[file] = {name: info for name, info in part.items() if isinstance(info, TensorInfo)}
    if not state:
        return Gathered(contents, tensors, None, None, tuple(problems))
    try:
        names = plain_names(weights, state)
    except CheckpointError as error:
        return Gathered(contents, tensors, None, None, (*problems, str(error)))
    metadata = next(iter(contents.values())).metadata
    found = Found(
        names.tensors, names.prefix, is_safetensors(weights), entries, beside, metadata, files_beside(weights)
    )
    return Gathered(contents, tensors, names, found, tuple(problems))


def _files(weights: Path) -> list[Path]:
    if weights.name != INDEX:
        return [weights]
    return files_listed(weights)
