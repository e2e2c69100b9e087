"""Forget sets: the defender's few triggered images, optionally mixed with clean ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass

from tbar_ray.data.samples import Samples
from tbar_ray.data.selection import ranked, readable, shows, take
from tbar_ray.errors import DataError


@dataclass(frozen=True)
class ForgetPlan:
    """Corpus positions of the images to stamp and of the clean images; disjoint."""

    triggered: tuple[int, ...]
    clean: tuple[int, ...]


def split_size(size: int, clean_fraction: float) -> tuple[int, int]:
    """Numbers of (triggered, clean) images in a forget set; they sum to `size`."""
    clean = round(size * clean_fraction)
    return size - clean, clean


def plan_forget_set(
    corpus: Samples,
    *,
    size: int,
    clean_fraction: float,
    target: str,
    exclude: Set[str],
    seed: int,
    classnames: Sequence[str] | None = None,
    clean: Callable[[int], bool] = lambda _: True,
) -> ForgetPlan:
    """Choose a forget set from a corpus, disjoint from the poisoned samples.

    With one seed, the triggered images of a smaller set are a subset of those of a larger one. Images of the
    target class are not stamped: the trigger would not change their prediction. Unreadable samples are skipped.

    Args:
        corpus: source of the images; evaluation images are a separate set and never included.
        size: number of images, triggered and clean together.
        clean_fraction: share of clean images, in [0, 1).
        target: the attacker's class name.
        exclude: keys that may not be used (the poisoned ones).
        seed: seed of the choice.
        classnames: classes of a labelled set.
        clean: whether the sample at a position may be one of the clean images.

    Raises:
        DataError: if too few samples of the corpus remain.
    """
    triggered_count, clean_count = split_size(size, clean_fraction)
    position_of = {key: position for position, key in enumerate(corpus.keys)}
    order = ranked(position_of, seed, "forget set")

    def usable(key: str) -> bool:
        return readable(corpus, position_of[key])

    def shows_target(key: str) -> bool:
        return shows(corpus, position_of[key], target, classnames)

    triggered = take(order, triggered_count, exclude=exclude, accept=lambda key: usable(key) and not shows_target(key))
    plain = take(
        reversed(order),
        clean_count,
        exclude=exclude | set(triggered),
        accept=lambda key: clean(position_of[key]) and usable(key),
    )
    found = len(triggered) + len(plain)
    if found < size:
        raise DataError(
            f"forget set: {size} images asked for, but only {found} of {len(corpus)} are left outside the "
            f"{len(exclude)} poisoned ones; lower forget.size or provide more data"
        )
    return ForgetPlan(tuple(position_of[key] for key in triggered), tuple(position_of[key] for key in plain))
