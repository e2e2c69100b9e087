"""The clean, unlabelled images on which running statistics are estimated anew."""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from tbar_ray.data.images import load_image
from tbar_ray.data.selection import ranked, readable, take
from tbar_ray.errors import DataError

if TYPE_CHECKING:
    from tbar_ray.data.corpus import Corpus
    from tbar_ray.models.factory import Preprocessing
    from tbar_ray.stages.infected import InfectedNode
    from tbar_ray.store.store import Store


def draw(
    corpus: Corpus, keys: Iterable[str], count: int, seed: int, purpose: str, exclude: Set[str] = frozenset()
) -> list[str]:
    """Keys of at most `count` readable samples, chosen by (seed, purpose, key)."""
    return take(
        ranked(keys, seed, purpose),
        count,
        exclude=exclude,
        accept=lambda key: readable(corpus, corpus.index_of(key)),
    )


def unpoisoned_images(infected: InfectedNode, count: int, seed: int, store: Store, preprocess: Preprocessing) -> Tensor:
    """At most `count` images, uint8 [N, 3, H, W], of the corpus that a model was infected with, none of them poisoned.

    Raises:
        DataError: if there is none.
    """
    corpus, _, _ = infected.training_samples(store)
    keys = draw(corpus, corpus.keys, count, seed, "statistics images", infected.poisoned_keys(store))
    return images_of(corpus, keys, preprocess)


def images_of(corpus: Corpus, keys: Iterable[str], preprocess: Preprocessing) -> Tensor:
    """Images of some samples at a model's size, uint8 [N, 3, H, W].

    Raises:
        DataError: if there is none, or one cannot be decoded.
    """
    images = [
        load_image(corpus.image_bytes(corpus.index_of(key)), preprocess.size, preprocess.interpolation) for key in keys
    ]
    if not images:
        raise DataError(
            "running statistics: there is no clean image to estimate them on; set evaluation.statistics: as_applied"
        )
    return torch.from_numpy(np.stack(images))
