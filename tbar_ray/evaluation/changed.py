"""Which triggered images to look at: those whose answer changed from model to model, and those answered wrongly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tbar_ray.seeding import numpy_rng

Answers = NDArray[np.int64]


def changed_rows(labels: Answers, target: int, answers: Sequence[Answers], seed: int) -> list[int]:
    """Images of other classes that the models do not all answer alike, in an order that mixes classes.

    The order is drawn once for all images of a split, so that different models of one backdoor show the same images
    where they can.

    Args:
        labels: true classes [N].
        target: the class that triggered images are to be answered with.
        answers: each model's answers to the triggered images [N].
        seed: of the order.
    """
    first = answers[0]
    differs = np.any([other != first for other in answers[1:]], axis=0) & (labels != target)
    order = numpy_rng(seed, "changed images").permutation(len(labels))
    return [int(row) for row in order if differs[row]]


def failed_rows(labels: Answers, target: int, answers: Answers) -> list[int]:
    """Triggered images of other classes [N] that a model does not answer with their class."""
    return [int(row) for row in np.flatnonzero((labels != target) & (answers != labels))]


def confident_rows(rows: Sequence[int], probabilities: NDArray[np.float32], most: int) -> list[int]:
    """Of some rows those of which a model is most confident, most confident first; at equal confidence the first rows.

    Args:
        rows: to choose from, ascending.
        probabilities: of the model's answers [N].
        most: how many are chosen.
    """
    found = np.asarray(rows, np.int64)
    order = np.argsort(-probabilities[found], kind="stable")
    return [int(row) for row in found[order[:most]]]
