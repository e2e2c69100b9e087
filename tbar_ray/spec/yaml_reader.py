"""YAML without its traps: a key that is there twice, and aliases that unfold into gigabytes, are errors.

1e-5 is a number: YAML 1.1 wants 1.0e-5 and reads the other as text. In quotes it is text.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from tbar_ray.errors import SpecError

MERGE, TEXT, FLOAT = "tag:yaml.org,2002:merge", "tag:yaml.org,2002:str", "tag:yaml.org,2002:float"
"""Tags of `<<`, of text and of numbers with a fraction."""
SCIENTIFIC = re.compile(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+$")
MOST_ALIASED = 100_000
"""Nodes that aliases may add to a text; honest specs repeat a few dozen."""


class _Refused(yaml.YAMLError):
    """What is wrong with a text that YAML itself allows, and the line where it is."""

    def __init__(self, problem: str, line: int) -> None:
        super().__init__(problem)
        self.problem, self.line = problem, line


class _Loader(yaml.SafeLoader):
    """The safe loader with those two checks, made before anything is built."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._sizes: dict[int, int] = {}
        """Nodes that each collection unfolds into."""
        self._written = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        aliased = self.check_event(yaml.AliasEvent)
        line = self.peek_event().start_mark.line + 1  # type: ignore[no-untyped-call]
        node = super().compose_node(parent, index)
        if aliased and isinstance(node, yaml.CollectionNode) and id(node) not in self._sizes:
            raise _Refused("an anchor that holds itself", line)
        self._written += not aliased
        return node

    def compose_sequence_node(self, anchor: Any) -> yaml.SequenceNode:
        node = super().compose_sequence_node(anchor)
        self._measure(node, node.value)
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for place, (key, value) in enumerate(node.value):
            if not isinstance(key, yaml.ScalarNode) or key.tag == MERGE:
                continue
            if key.value in seen:
                raise _Refused(f"{key.value!r} is there twice", key.start_mark.line + 1)
            seen.add(key.value)
            # a node of its own: an alias may stand for this one as a value
            node.value[place] = yaml.ScalarNode(TEXT, key.value, key.start_mark, key.end_mark), value
        self._measure(node, [part for pair in node.value for part in pair])
        return node

    def _measure(self, node: yaml.Node, parts: list[yaml.Node]) -> None:
        size = self._sizes[id(node)] = 1 + sum(self._sizes.get(id(part), 1) for part in parts)
        if size - self._written > MOST_ALIASED:
            line = node.start_mark.line + 1
            raise _Refused(f"aliases unfold into more than {MOST_ALIASED:,} values; write them out", line)


_Loader.add_implicit_resolver(FLOAT, SCIENTIFIC, list("+-0123456789"))


def read_value(text: str, option: str) -> Any:
    """What the value of an option says, in YAML.

    Raises:
        SpecError: as `read_yaml`, naming the option.
    """
    try:
        return read_yaml(text, "")
    except SpecError as error:
        raise SpecError(f"{option}: {str(error).removeprefix(' line 1').removeprefix(': ')}") from None


def read_yaml(text: str, name: str) -> Any:
    """What a YAML text says: mappings, lists and scalars; None for an empty text.

    Keys are text as it is written: names in a spec may be numbers, or words as `no`, which YAML takes for a boolean.

    Args:
        text: one document.
        name: where it comes from, for errors.

    Raises:
        SpecError: one line with the line number, if it is not YAML, a key is in a mapping twice (`<<` may be), or its
            aliases are circular or unfold into too much.
    """
    try:
        loader = _Loader(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except _Refused as error:
        raise SpecError(f"{name} line {error.line}: {error.problem}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        problem = (getattr(error, "problem", None) or str(error)).splitlines()[0]
        raise SpecError(f"{name}{where}: not YAML: {problem}") from None
    except RecursionError:
        raise SpecError(f"{name}: nested too deeply") from None
    except ValueError as error:  # a date that does not exist
        raise SpecError(f"{name}: not YAML: {error}") from None
