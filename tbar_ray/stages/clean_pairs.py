"""Clean pairs of a campaign's corpus that nobody has used, for fine-tuning after a cleaning."""

from __future__ import annotations

import json
from collections.abc import Set
from typing import TYPE_CHECKING

from tbar_ray.stages.evaluate import Evaluate
from tbar_ray.stages.infected import InfectedNode
from tbar_ray.stages.unlearn import SAMPLES, Unlearn
from tbar_ray.store.store import Store

if TYPE_CHECKING:
    from tbar_ray.lasting.clean_pairs import CleanPairs
    from tbar_ray.models.factory import Preprocessing


def defenders_keys(unlearn: Unlearn, store: Store) -> frozenset[str]:
    """Keys of all samples that a defender held: forget set and pairs."""
    used = json.loads((store.fetch(unlearn.artifact) / SAMPLES).read_text())
    return frozenset(key for keys in used.values() for key in keys)


def unused_pairs(
    infected: InfectedNode,
    scorer: Evaluate,
    count: int,
    seed: int,
    used: Set[str],
    store: Store,
    preprocess: Preprocessing,
) -> CleanPairs:
    """At most `count` pairs of an infected model's corpus; from this process's cache if they are there.

    None was poisoned, is among `used`, or shows or names the target. Evaluation sets are other sets: no key of theirs
    is one of the corpus.

    Raises:
        DataError: if fewer than two are left.
    """
    from tbar_ray.evaluation.class_prompts import ClassPrompts
    from tbar_ray.lasting.clean_pairs import read_clean_pairs
    from tbar_ray.stages.kept import kept
    from tbar_ray.unlearning.reader import DefenderReader

    taken, target = infected.poisoned_keys(store) | used, scorer.backdoor.target

    def read() -> CleanPairs:
        corpus, _, _ = infected.training_samples(store)
        classes = ClassPrompts.of(scorer.open_data(store), infected.architecture)
        reader = DefenderReader(corpus, classes, preprocess, seed, numbered=infected.classify)
        return read_clean_pairs(reader, target, count, seed, taken)

    return kept().get(("unused pairs", infected.fingerprint, target, count, seed, frozenset(taken), preprocess), read)
