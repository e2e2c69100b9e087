"""A pickle as data: no function or class that it names is looked up, let alone called.

Python's own disassembler yields the operations, and `pickle_machine` carries them out.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from io import SEEK_END
from typing import IO, Final

from tbar_ray.models.formats.tensor_info import BYTES
from tbar_ray.models.inspection.pickle_machine import REBUILD, Machine

EXPECTED: Final = frozenset(
    {
        "collections.OrderedDict", "torch.Size", "torch.device", "torch.nn.parameter.Parameter", "_codecs.encode",
        "argparse.Namespace", "numpy.dtype", "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar",
    }
)  # fmt: skip
"""Names that published checkpoints have, and that loading admits; more by `is_expected`."""


class PickleError(Exception):
    """The pickle ends too early, or is none."""


@dataclass(frozen=True)
class Unpickled:
    """What a pickle holds.

    Attributes:
        content: lists, dictionaries, tuples, texts, numbers, `TensorInfo`, `Namespace`, and `Made` for the rest.
        names: functions and classes that the pickle would have called.
    """

    content: object
    names: frozenset[str]

    def unexpected(self) -> list[str]:
        """The names that no checkpoint needs."""
        return sorted(name for name in self.names if not is_expected(name))


def is_expected(name: str) -> bool:
    """Whether checkpoints of tensors have this name."""
    module, _, last = name.rpartition(".")
    storage = module in {"torch", "torch.storage"} and (last.endswith("Storage") or last in BYTES)
    return name in EXPECTED or name.startswith(REBUILD) or storage


def read_pickle(file: IO[bytes], place: Callable[[str], int | None] = lambda _: None) -> Unpickled:
    """Read one pickle, up to its end.

    Args:
        file: at the pickle's first byte.
        place: first byte in the file of a storage, by its key.

    Raises:
        PickleError: if it is damaged.
    """
    machine = Machine(place)
    try:
        for operation, argument, _ in pickletools.genops(_Bounded(file)):  # type: ignore[arg-type]
            if operation.name == "STOP":
                return Unpickled(machine.stack.pop(), frozenset(machine.names))
            machine.run(operation.name, argument)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, UnicodeError, OverflowError) as error:
        raise PickleError(str(error) or type(error).__name__) from None
    raise PickleError("it ends too early")


class _Bounded:
    """A file that does not make room for more than it has: a damaged pickle may announce a text of exabytes."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.readline = file, file.readline
        here = file.tell()
        self.size = file.seek(0, SEEK_END)
        file.seek(here)

    def read(self, count: int) -> bytes:
        """Read as many bytes as the file has, at most `count`."""
        return self.file.read(min(count, self.size))

    def tell(self) -> int:
        """Where the next byte is read."""
        return self.file.tell()
