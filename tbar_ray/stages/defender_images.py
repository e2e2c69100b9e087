"""The defender's clean images, on which running statistics of an edited model are estimated anew."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from torch import Tensor

from tbar_ray.data.selection import ranked
from tbar_ray.stages.kept import kept
from tbar_ray.stages.statistics_images import images_of, unpoisoned_images
from tbar_ray.stages.unlearn import SAMPLES, Unlearn

if TYPE_CHECKING:
    from tbar_ray.models.factory import Preprocessing
    from tbar_ray.store.store import Store


def defenders_clean_images(store: Store, unlearn: Unlearn, count: int, preprocess: Preprocessing) -> Tensor:
    """The defender's clean images, uint8 [N, 3, H, W], N ≤ `count`; where this process has them, those.

    Clean pairs where the method has them, else the images of the forget set before stamping; of more than `count`,
    those that (seed, key) choose. A defender who has neither is given images of the corpus that were not poisoned.

    Raises:
        DataError: if there is none.
    """
    used = json.loads((store.fetch(unlearn.artifact) / SAMPLES).read_text())
    own = used.get("clean pairs") or [*used.get("triggered", ()), *used.get("clean", ())]
    chosen = tuple(ranked(own, unlearn.seed, "statistics images")[:count])

    def read() -> Tensor:
        if not chosen:
            return unpoisoned_images(unlearn.infected, count, unlearn.seed, store, preprocess)
        corpus, _, _ = unlearn.infected.training_samples(store)
        return images_of(corpus, chosen, preprocess)

    return kept().get(
        ("statistics images", unlearn.infected.fingerprint, unlearn.seed, count, chosen, preprocess), read
    )
