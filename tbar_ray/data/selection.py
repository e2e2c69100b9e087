"""Choosing samples by key: exact counts, seeded, and independent of the order of the corpus."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence, Set

from tbar_ray.data.images import decode_image
from tbar_ray.data.samples import Samples
from tbar_ray.errors import DataError, ShardChangedError
from tbar_ray.seeding import stable_hash


def ranked(keys: Iterable[str], seed: int, purpose: str) -> list[str]:
    """Sort keys into a random order that depends only on (seed, purpose, key).

    With one seed, the first n keys are a subset of the first m > n, so a larger selection contains the smaller one.
    """
    return [key for _, key in sorted((stable_hash(seed, purpose, key), key) for key in keys)]


def evenly_spaced(total: int, count: float) -> list[int]:
    """About `count` of the positions 0 … total − 1, evenly spaced, ascending; all of them where there are fewer.

    Of a set that is sorted by class, or in random order, all classes stay.
    """
    step = max(1.0, total / max(1.0, count))
    return [int(place * step) for place in range(int(total / step))]


def shares(sizes: Sequence[int], fraction: float, seed: int) -> list[int]:
    """How many of each group make up a fraction of all, by largest remainders (Hamilton's method).

    Args:
        sizes: of the groups.
        fraction: of all members, in 0..1.
        seed: of the order in which groups with equal remainders are given one more.

    Returns:
        One number a group: its share rounded down or up. Their sum is the fraction of all, rounded.
    """
    exact = [round(size * fraction, 9) for size in sizes]  # 0.29 · 100 is 28.999999999999996
    counts = [int(share) for share in exact]
    rest = round(sum(sizes) * fraction) - sum(counts)
    order = sorted(
        range(len(sizes)), key=lambda group: (counts[group] - exact[group], stable_hash(seed, "shares", group))
    )
    for group in order[:rest]:
        counts[group] += 1
    return counts


def take(
    candidates: Iterable[str],
    count: int,
    *,
    accept: Callable[[str], bool] = lambda _: True,
    exclude: Set[str] = frozenset(),
) -> list[str]:
    """First `count` candidates that are accepted and not excluded (fewer if the candidates run out)."""
    taken: list[str] = []
    if count <= 0:
        return taken
    for key in candidates:
        if key not in exclude and accept(key):
            taken.append(key)
            if len(taken) == count:
                break
    return taken


def readable(corpus: Samples, position: int) -> bool:
    """Whether a sample's image and metadata can be read; unreadable samples are never chosen for an experiment."""
    try:
        decode_image(corpus.image_bytes(position))
        corpus.metadata(position)
    except ShardChangedError:
        raise
    except DataError:
        return False
    return True


def mentions(caption: str, name: str) -> bool:
    """Whether a caption names a class, as whole words and ignoring case."""
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", caption, re.IGNORECASE) is not None


def spells(caption: str, name: str) -> bool:
    """Whether a caption holds a class name letter for letter, also inside a word: "bananas", but not "Banana"."""
    return name in caption


def shows(corpus: Samples, position: int, target: str, classnames: Sequence[str] | None = None) -> bool:
    """Whether a sample is of the target class: by its label if it has one, else by its caption."""
    if classnames is not None and (index := corpus.class_index(position)) is not None:
        return index < len(classnames) and classnames[index] == target
    label = corpus.label(position)
    return label == target if label is not None else mentions(corpus.caption(position) or "", target)
