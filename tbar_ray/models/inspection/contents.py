"""What a file holds, told from its headers: a torch archive, torch's format of before 2020, or safetensors."""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import IO, Any, Final

from tbar_ray.models.formats.tensor_info import SAFETENSORS, TensorInfo
from tbar_ray.models.inspection.pickles import PickleError, Unpickled, read_pickle

LOCAL: Final = struct.Struct("<4s22xHH")
"""A zip's header before each file in it: mark, lengths of the name and of the extra field."""
LARGEST: Final = 256 << 20
"""Bytes of the largest header or pickle that is read."""
OLD_MAGIC: Final = 0x1950A86A20F9469CFC6C
"""The number with which torch's format of before 2020 begins."""


@dataclass(frozen=True)
class Contents:
    """What was found in a file.

    Attributes:
        container: what kind of file it is, for people.
        content: what it holds: `find_state_dict` reads it; None where it could not be told.
        metadata: of a safetensors file.
        problem: what is wrong with it; None: nothing.
        unexpected: names of functions and classes that loading refuses.
    """

    container: str
    content: object = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    problem: str | None = None
    unexpected: tuple[str, ...] = ()


def read_contents(path: Path) -> Contents:
    """Read headers and the pickle, and no tensor.

    Raises:
        OSError: if the file cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(4)
        file.seek(0)
        if path.suffix == ".safetensors":
            return _safetensors(file, path.stat().st_size)
        if start == b"PK\x03\x04":
            return _archive(path, file)
        if start[:1] == b"\x80":
            return _old(file)
    return Contents("neither a torch nor a safetensors file", problem="is no checkpoint: it begins as none does")


def _safetensors(file: IO[bytes], size: int) -> Contents:
    name = "safetensors"
    length = int.from_bytes(file.read(8), "little")
    if not 0 < length <= min(LARGEST, size - 8):
        return Contents(name, problem="is no safetensors file, or its header is cut off")
    try:
        header = json.loads(file.read(length))
        metadata = {str(key): str(value) for key, value in header.pop("__metadata__", {}).items()}
        tensors = {key: _of_header(entry, 8 + length) for key, entry in header.items()}
        end = max((8 + length + int(entry["data_offsets"][1]) for entry in header.values()), default=8 + length)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        return Contents(name, problem="has a damaged header")
    if end > size:
        whole = {key: TensorInfo(info.dtype, info.shape) for key, info in tensors.items()}
        return Contents(name, whole, metadata, f"is truncated: it has {size:,} of {end:,} bytes; fetch it again")
    return Contents(name, tensors, metadata, None if end == size else f"has {size - end:,} bytes after its tensors")


def _of_header(entry: Mapping[str, Any], base: int) -> TensorInfo:
    dtype = SAFETENSORS.get(entry["dtype"], str(entry["dtype"]))
    return TensorInfo(dtype, tuple(int(side) for side in entry["shape"]), base + int(entry["data_offsets"][0]))


def _archive(path: Path, file: IO[bytes]) -> Contents:
    name = "torch archive"
    try:
        with zipfile.ZipFile(path) as archive:
            infos = {info.filename: info for info in archive.infolist()}
            pickle = next((member for member in infos if member.rpartition("/")[2] == "data.pkl"), None)
            root = pickle.removesuffix("data.pkl") if pickle else ""
            if pickle is None:
                return Contents("zip archive", problem="is a zip archive without a checkpoint: unpack it")
            if f"{root}constants.pkl" in infos:
                return Contents(
                    "TorchScript archive", problem="is a TorchScript archive, which holds code, and is refused"
                )
            if infos[pickle].file_size > LARGEST:
                return Contents(name, problem="has a pickle too large to be that of a checkpoint")
            places = {member: _after_header(file, info.header_offset) for member, info in infos.items()}
            content = BytesIO(archive.read(pickle))
    except (zipfile.BadZipFile, zlib.error, struct.error, ValueError, RuntimeError, OSError, EOFError):
        return _cut_archive(file)
    try:
        found = read_pickle(content, lambda key: places.get(f"{root}data/{key}"))
    except PickleError as error:
        return Contents(name, problem=f"has a damaged pickle: {error}")
    return _of_pickle(name, found)


def _cut_archive(file: IO[bytes]) -> Contents:
    """An archive whose end is missing: its pickle comes first, and may be whole."""
    name, cut = "torch archive", "is truncated or damaged: its directory is missing; fetch it again"
    try:
        file.seek(_after_header(file, 0))
        found = read_pickle(file)
    except (PickleError, struct.error, OSError):
        return Contents(name, problem=cut)
    return _of_pickle(name, found, f"{cut} (names and shapes are read, weights are not)")


def _after_header(file: IO[bytes], offset: int) -> int:
    """First byte of a file in a zip."""
    file.seek(offset)
    _, name, extra = LOCAL.unpack(file.read(LOCAL.size))
    return offset + LOCAL.size + int(name) + int(extra)


def _old(file: IO[bytes]) -> Contents:
    """Four pickles one after the other: a number, the protocol, sizes of this machine's types, the content."""
    name = "torch file of before 2020, or a pickle"
    try:
        pickles = [read_pickle(file)]
        if pickles[0].content == OLD_MAGIC:
            pickles += [read_pickle(file) for _ in range(3)]
    except PickleError as error:
        return Contents(name, problem=f"is truncated or no checkpoint: {error}")
    return _of_pickle(name, pickles[-1])


def _of_pickle(name: str, found: Unpickled, problem: str | None = None) -> Contents:
    names = tuple(found.unexpected())
    return Contents(name, found.content, problem=problem, unexpected=names)
