"""The images of an evaluation set that choose α and those that are reported, decoded and stamped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from tbar_ray.data.evaluation_set import EvaluationSet
from tbar_ray.data.selection import evenly_spaced
from tbar_ray.evaluation.scores import Split
from tbar_ray.models.factory import Preprocessing
from tbar_ray.triggers.base import Trigger, stamp_uint8

Part = Literal["validation", "test"]


@dataclass(frozen=True)
class Splits:
    """How an evaluation set is cut: validation (chooses α) and test (is reported), disjoint.

    Attributes:
        validation_fraction: share of each class's images that are for validation.
        max_images: use at most about this many images of both parts; None for all.
        seed: of the cut.
    """

    validation_fraction: float
    max_images: int | None
    seed: int

    def positions(self, data: EvaluationSet, part: Part) -> NDArray[np.int64]:
        """Positions of one part in the evaluation set, ascending.

        Raises:
            DataError: if a part would have no image.
        """
        validation, test = data.split(self.validation_fraction, self.seed)
        positions = validation if part == "validation" else test
        if self.max_images is None:
            return positions
        share = self.max_images * (self.validation_fraction if part == "validation" else 1 - self.validation_fraction)
        return positions[evenly_spaced(len(positions), share)]


def load_split(data: EvaluationSet, positions: NDArray[np.int64], trigger: Trigger, preprocess: Preprocessing) -> Split:
    """Decode images and stamp their triggered twins, as evaluation stamps them.

    Raises:
        DataError: if an image cannot be decoded and the set's policy is "error", or there is none.
    """
    images, positions, lost = data.load(positions, preprocess.size, preprocess.interpolation)
    clean = torch.from_numpy(images)
    triggered = stamp_uint8(trigger.at_test(), clean, data.keys(positions))
    return Split(clean, triggered, torch.from_numpy(data.labels[positions]), lost)
