"""The clean, unlabelled images on which running statistics are estimated anew."""

from __future__ import annotations

import json
from collections.abc import Iterable, Set
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from tbar_ray.data.images import load_image
from tbar_ray.data.selection import ranked, readable, take
from tbar_ray.errors import DataError
from tbar_ray.stages.kept import kept

if TYPE_CHECKING:
    from tbar_ray.data.corpus import Corpus
    from tbar_ray.models.factory import Preprocessing
    from tbar_ray.stages.unlearn import Unlearn
    from tbar_ray.store.store import Store


def defenders_clean_images(store: Store, unlearn: Unlearn, count: int, preprocess: Preprocessing) -> Tensor:
    """Return the defender's clean images, uint8 [N, 3, H, W], N ≤ `count`; where this process has them, those.

    Clean pairs where the method has them, else the images of the forget set before stamping; of more than `count`,
    those that (seed, key) choose. A defender who has neither is given images of the corpus that were not poisoned.

    Raises:
        DataError: if there is none.
    """
    from tbar_ray.stages.unlearn import SAMPLES

    used = json.loads((store.fetch(unlearn.artifact) / SAMPLES).read_text())
    own = used.get("clean pairs") or [*used.get("triggered", ()), *used.get("clean", ())]
    chosen = tuple(ranked(own, unlearn.seed, "statistics images")[:count])

    def read() -> Tensor:
        corpus, _, _ = unlearn.infected.training_samples(store)
        keys = chosen or draw(
            corpus, corpus.keys, count, unlearn.seed, "statistics images", unlearn.infected.poisoned_keys(store)
        )
        return images_of(corpus, keys, preprocess)

    return kept().get(
        ("statistics images", unlearn.infected.fingerprint, unlearn.seed, count, chosen, preprocess), read
    )


def draw(
    corpus: Corpus, keys: Iterable[str], count: int, seed: int, purpose: str, exclude: Set[str] = frozenset()
) -> list[str]:
    """Return the keys of at most `count` readable samples, chosen by (seed, purpose, key)."""
    return take(
        ranked(keys, seed, purpose),
        count,
        exclude=exclude,
        accept=lambda key: readable(corpus, corpus.index_of(key)),
    )


def images_of(corpus: Corpus, keys: Iterable[str], preprocess: Preprocessing) -> Tensor:
    """Return the images of some samples at a model's size, uint8 [N, 3, H, W].

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
