"""The machine that a pickle runs on, without the calls: where a function would make something, it leaves a mark.

It keeps lists, dictionaries, tuples, texts and numbers, and knows what a tensor of torch looks like.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from tbar_ray.models.formats.tensor_info import BYTES, TensorInfo

STORAGES: Final = {
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "DoubleStorage": "float64",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}
REBUILD: Final = "torch._utils._rebuild_"
"""How the names of torch's functions that make tensors begin."""


@dataclass(frozen=True, eq=False)
class Global:
    """A function or class by its name."""

    name: str


@dataclass(frozen=True, eq=False)
class Made:
    """What a call of a function or class would have returned."""

    by: str


@dataclass(frozen=True, eq=False)
class Storage:
    """Numbers of one type in a row, elsewhere in the file."""

    key: str
    dtype: str


_CONSTANTS: Final[dict[str, Callable[[], object]]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": list,
}
_TUPLES: Final = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_CALLS: Final = frozenset({"REDUCE", "NEWOBJ", "OBJ", "INST", "NEWOBJ_EX"})
_NOTHING: Final = frozenset({"PROTO", "FRAME"})


class Machine:
    """Carries out a pickle's operations on a stack, and calls nothing."""

    def __init__(self, place: Callable[[str], int | None]) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.names: set[str] = set()
        self.place = place

    def run(self, name: str, argument: Any) -> None:
        """Carry out one operation."""
        if name in _NOTHING:
            return
        if name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name]())
        elif name.endswith("PUT") or name == "MEMOIZE":
            self.memo[len(self.memo) if name == "MEMOIZE" else int(argument)] = self.stack[-1]
        elif name.endswith("GET"):
            self.stack.append(self.memo[int(argument)])
        elif name in _TUPLES:
            self._several(_TUPLES[name])
        elif name in _CALLS:
            self._call(name, argument)
        elif (structural := getattr(self, f"_{name.lower()}", None)) is not None:
            structural(argument)
        elif argument is not None:
            self.stack.append(argument)  # a number, a text or bytes
        else:
            raise ValueError(f"unknown operation {name}")

    def _marked(self) -> list[Any]:
        """Take what lies above the last mark off the stack, and the mark."""
        place = self.marks.pop()
        above = self.stack[place:]
        del self.stack[place:]
        return above

    def _mark(self, _: object) -> None:
        self.marks.append(len(self.stack))

    def _tuple(self, _: object) -> None:
        self.stack.append(tuple(self._marked()))

    def _several(self, count: int) -> None:
        above = tuple(self.stack[-count:])
        del self.stack[-count:]
        self.stack.append(above)

    def _list(self, _: object) -> None:
        self.stack.append(self._marked())

    _frozenset = _list

    def _dict(self, _: object) -> None:
        items = self._marked()
        self.stack.append({})
        self._put(zip(items[::2], items[1::2], strict=True))

    def _append(self, _: object) -> None:
        value = self.stack.pop()
        if isinstance(self.stack[-1], list):
            self.stack[-1].append(value)

    def _appends(self, _: object) -> None:
        values = self._marked()
        if isinstance(self.stack[-1], list):
            self.stack[-1].extend(values)

    _additems = _appends

    def _setitem(self, _: object) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._put([(key, value)])

    def _setitems(self, _: object) -> None:
        items = self._marked()
        self._put(zip(items[::2], items[1::2], strict=True))

    def _put(self, items: Any) -> None:
        if isinstance(self.stack[-1], dict):
            self.stack[-1].update(
                # a key of nested tuples may be larger than memory once it is spelt out
                (key if isinstance(key, str | int) else f"<{type(key).__name__}>", value)
                for key, value in items
            )

    def _pop(self, _: object) -> None:
        if self.marks and self.marks[-1] == len(self.stack):
            self.marks.pop()
        else:
            self.stack.pop()

    def _pop_mark(self, _: object) -> None:
        self._marked()

    def _dup(self, _: object) -> None:
        self.stack.append(self.stack[-1])

    def _global(self, argument: str) -> None:
        self._named(argument.replace(" ", "."))

    def _stack_global(self, _: object) -> None:
        last, module = self.stack.pop(), self.stack.pop()
        if not isinstance(module, str) or not isinstance(last, str):
            raise TypeError("a name that is no text")
        self._named(f"{module}.{last}")

    def _named(self, name: str) -> None:
        self.names.add(name)
        self.stack.append(Global(name))

    def _persid(self, argument: str) -> None:
        self.stack.append(Made(argument))

    def _binpersid(self, _: object) -> None:
        found = self.stack.pop()
        kind = found[1].name.rpartition(".")[2]
        self.stack.append(Storage(str(found[2]), STORAGES.get(kind, "")))

    def _build(self, _: object) -> None:
        state = self.stack.pop()
        made = self.stack[-1]
        if isinstance(made, Namespace) and isinstance(state, dict):
            vars(made).update({str(key): value for key, value in state.items()})

    def _call(self, name: str, argument: Any) -> None:
        if name == "INST":
            self._marked()
            self._named(argument.replace(" ", "."))
            self.stack[-1] = Made(self.stack[-1].name)
            return
        if name == "OBJ":
            called, *arguments = self._marked()
        else:
            if name == "NEWOBJ_EX":
                self.stack.pop()
            arguments, called = self.stack.pop(), self.stack.pop()
        self.stack.append(self._made(called.name if isinstance(called, Global) else "", arguments))

    def _made(self, by: str, arguments: Any) -> object:
        if by == "collections.OrderedDict":
            return {}
        if by == "argparse.Namespace":
            return Namespace()
        if by.startswith(f"{REBUILD}parameter"):
            return arguments[0]
        if by.startswith(f"{REBUILD}tensor") and isinstance(arguments[0], Storage):
            storage, offset, shape = arguments[:3]
            dtype = storage.dtype or next((a.name.rpartition(".")[2] for a in arguments if isinstance(a, Global)), "")
            start = self.place(storage.key)
            first = None if start is None or dtype not in BYTES else start + BYTES[dtype] * int(offset)
            return TensorInfo(dtype or "unknown", tuple(int(side) for side in shape), first)
        return Made(by)
