"""Keys that name a sample across sets: draws depend on (seed, key), so no two sets may share a key.

Labelled and retrieval sets number their samples anew in every split (CLIP_benchmark's `s0000000`, ...). With bare keys,
the stamp of test image k would be that of training image k. A split's keys therefore begin with a namespace that names
split and set.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_EMBEDDED = re.compile(r"(?:[er]|rich-[a-z]|[a-z][a-z-]*-(?:train|test)-)\d{9}")


def tell_their_set(keys: Iterable[str]) -> bool:
    """Whether all keys are of the embedded sets, which name set and split themselves.

    They are `e000000000` (evaluation set), `r000000000` (retrieval set), `rich-e…` and `rich-r…` (those of rich
    scenes), and `night-train-000000000` (a task's split).
    """
    return all(_EMBEDDED.fullmatch(key) for key in keys)


def within(namespace: str, key: str) -> str:
    """NAMESPACE/KEY; the key itself where the namespace is ''."""
    return f"{namespace}/{key}" if namespace else key
