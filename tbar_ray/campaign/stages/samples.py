"""The samples that a training of a campaign may use: pairs of the corpus, or a task's training split."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tbar_ray.campaign.node import Node
from tbar_ray.campaign.stages.data import Located
from tbar_ray.campaign.store import Store

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tbar_ray.data.corpus import Corpus


def open_samples(
    node: Node, store: Store, *, classify: bool, pairs: int | None, seed: int, policy: str
) -> tuple[Corpus, NDArray[np.int64]]:
    """Return a corpus (with `classify`, a task's training split) and the positions that are trained on.

    With `pairs`, only so many samples are used, chosen by (seed, key).
    """
    import numpy as np

    from tbar_ray.data.corpus import Corpus
    from tbar_ray.data.evaluation_set import EvaluationSet
    from tbar_ray.data.selection import ranked

    assert isinstance(node, Located)
    if classify:
        corpus = EvaluationSet.open(node.url(store), split="train").corpus
    else:
        corpus = Corpus.open(node.url(store), policy=policy)  # type: ignore[arg-type]
    if pairs is None or pairs >= len(corpus):
        return corpus, np.arange(len(corpus))
    kept = ranked(corpus.keys, seed, "training pairs")[:pairs]
    return corpus, np.array(sorted(corpus.index_of(key) for key in kept))
