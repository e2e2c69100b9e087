"""What is written back of the entries beside a state dict."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping

Plain = str | int | float | bool | None


def kept_of(beside: Mapping[str, object]) -> dict[str, object]:
    """Numbers and texts, arguments as a dictionary of them, and empty dictionaries in place of others.

    States of optimizers and scalers belong to the old weights. Their entries stay, since programs look for them, but
    empty: a training that would go on from them says so.
    """
    kept: dict[str, object] = {}
    for name, value in beside.items():
        if isinstance(value, Namespace):
            kept[name] = {key: _plain(entry) for key, entry in vars(value).items() if _is_plain(entry)}
        elif isinstance(value, Mapping):
            kept[name] = {}
        elif _is_plain(value):
            kept[name] = _plain(value)
    return kept


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float | None)


def _plain(value: object) -> Plain:
    """A number of numpy's, which some are, as Python's."""
    return next((kind(value) for kind in (bool, int, float, str) if isinstance(value, kind)), None)
