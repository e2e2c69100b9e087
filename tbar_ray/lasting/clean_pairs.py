"""Clean pairs without the target: what somebody fine-tunes a cleaned model on without meaning any harm."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from tbar_ray.data.selection import ranked, readable
from tbar_ray.errors import DataError
from tbar_ray.unlearning.defender import Pairs
from tbar_ray.unlearning.reader import DefenderReader

LEAST = 2
"""Pairs that a contrastive loss needs: each image is told from the other's caption."""


@dataclass(frozen=True)
class CleanPairs:
    """Pairs of which none shows or names the target.

    Attributes:
        pairs: the pairs.
        keys: their keys.
        naming: how many pairs were left out on the way because they show or name the target.
    """

    pairs: Pairs
    keys: tuple[str, ...]
    naming: int


def read_clean_pairs(
    reader: DefenderReader, target: str, count: int, seed: int, exclude: Set[str] = frozenset()
) -> CleanPairs:
    """Read at most `count` pairs that neither show nor name the target, chosen by (seed, key).

    Pairs that name it would teach the model the target's name anew, and what rises then is no rebound.

    Args:
        reader: of the samples.
        target: the attacker's class.
        count: how many; fewer are read where fewer are left.
        seed: of the choice.
        exclude: keys that may not be used: poisoned samples, and those that the defender held.

    Raises:
        DataError: if fewer than two are left.
    """
    samples, chosen, naming = reader.samples, list[str](), 0
    for key in ranked(samples.keys, seed, "clean pairs without the target"):
        if len(chosen) == count:
            break
        if key in exclude:
            continue
        if reader.names(samples.index_of(key), target):
            naming += 1
        elif readable(samples, samples.index_of(key)):
            chosen.append(key)
    if len(chosen) < LEAST:
        raise DataError(
            f"rebound: {len(chosen) or 'no'} clean pairs are left of {len(samples):,} samples: {len(exclude):,} are "
            f"poisoned or in use, {naming:,} more name the target {target!r}; give more, or pairs without it"
        )
    return CleanPairs(reader.pairs_of(chosen), tuple(chosen), naming)
