"""The samples that a training of a campaign may use: pairs of the corpus, or a task's training split."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tbar_ray.errors import DataError
from tbar_ray.stages.data import GivenData, Located, Mixture
from tbar_ray.stages.node import Node
from tbar_ray.store.store import Store

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tbar_ray.data.corpus import Corpus
    from tbar_ray.data.evaluation_set import EvaluationSet
    from tbar_ray.data.layout import SplitName
    from tbar_ray.streaming.order import Order


class TrainingSamples(NamedTuple):
    """A corpus, the positions that are trained on, and the weights of all its samples (None: all alike)."""

    corpus: Corpus
    positions: NDArray[np.int64]
    weights: NDArray[np.float64] | None


def open_corpus(node: Node, store: Store, policy: str) -> tuple[Corpus, NDArray[np.float64] | None]:
    """A corpus, or several as one, and every sample's weight; None where all are streamed alike."""
    import numpy as np

    from tbar_ray.data.corpus import Corpus

    if isinstance(node, Mixture):
        parts = [_subset_of(Corpus.open(part.url(store), policy=policy), part, policy) for part in node.parts]  # type: ignore[arg-type]
        return Corpus.joined(parts), np.repeat(np.array(node.weights, float), [len(part) for part in parts])
    assert isinstance(node, Located)
    corpus = Corpus.open(node.url(store), policy=policy)  # type: ignore[arg-type]
    return (_subset_of(corpus, node, policy) if isinstance(node, GivenData) else corpus), None


def _subset_of(corpus: Corpus, node: GivenData, policy: str) -> Corpus:
    """The samples of a corpus that the node's manifest names; all where it has none."""
    from tbar_ray.data.subset import read_subset

    if node.manifest is None:
        return corpus
    subset = read_subset(node.manifest)
    if subset.digest != node.subset:
        raise DataError(f"{node.manifest} changed since the campaign was planned: run again")
    return subset.of(corpus, node.manifest, policy)


def order_of(
    corpus: Corpus,
    positions: NDArray[np.int64],
    seed: int,
    weights: NDArray[np.float64] | None = None,
    buffer: int | None = None,
) -> Order:
    """Order in which a training streams some samples of a corpus; `weights` are of all its samples."""
    from tbar_ray.streaming.order import Order

    return Order(
        positions,
        seed,
        None if weights is None else weights[positions],
        buffer,
        None if buffer is None else corpus.shards(positions),
    )


def open_evaluation(node: Node, store: Store, split: SplitName = "test") -> EvaluationSet:
    """One split of an evaluation set, under the campaign's policy on what cannot be read."""
    from tbar_ray.data.evaluation_set import EvaluationSet

    assert isinstance(node, Located)
    return EvaluationSet.open(node.url(store), split=split, policy=node.policy)


def open_samples(
    node: Node, store: Store, *, classify: bool, pairs: int | None, seed: int, policy: str
) -> TrainingSamples:
    """A corpus (with `classify`, a task's training split) and what of it is trained on.

    With `pairs`, only this many samples are used, chosen by (seed, key).
    """
    import numpy as np

    from tbar_ray.data.corpus import Corpus
    from tbar_ray.data.selection import ranked

    weights = None
    if classify:
        labelled = open_evaluation(node, store, "train").corpus
        assert isinstance(labelled, Corpus)
        corpus = labelled
    else:
        corpus, weights = open_corpus(node, store, policy)
    if pairs is None or pairs >= len(corpus):
        return TrainingSamples(corpus, np.arange(len(corpus)), weights)
    kept = ranked(corpus.keys, seed, "training pairs")[:pairs]
    return TrainingSamples(corpus, np.array(sorted(corpus.index_of(key) for key in kept)), weights)
