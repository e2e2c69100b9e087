"""The pictures of sheets: triggered test images of an attack, each read and stamped once for all its trials."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from tbar_ray.errors import DataError, TbarError
from tbar_ray.models.architectures import image_size
from tbar_ray.stages.evaluate import Evaluate
from tbar_ray.store.store import Store

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from tbar_ray.data.evaluation_set import EvaluationSet
    from tbar_ray.triggers.base import Trigger

SIDE = 64
"""Pixels of a kept image; larger ones are scaled down."""


class SheetPictures:
    """Triggered test images by their row among the answers that the store keeps.

    They have the model's resolution, stamped as for evaluation, and are resized bicubically, as CLIP's are, whatever
    the model's own weights ask for. Of a set of many images the few that are asked for are read.

    Args:
        scorer: the scores of the infected model, whose evaluation set and trigger are shown.
        store: with what they need.
        labels: true classes [N] of the answers.
    """

    def __init__(self, scorer: Evaluate, store: Store, labels: NDArray[np.int64]) -> None:
        self._scorer, self._store, self._labels = scorer, store, labels
        self._size = image_size(scorer.model.architecture)
        self._webp: dict[int, str] = {}
        self._problem: TbarError | None = None

    @property
    def names(self) -> Sequence[str]:
        """Names of the classes."""
        return self._opened[0].classnames

    def of(self, rows: Sequence[int]) -> dict[int, str]:
        """The pictures of some rows, as WebP without loss in base64.

        Raises:
            DataError: if they cannot be read, or the evaluation set is not the one that was answered.
        """
        if fresh := [row for row in dict.fromkeys(rows) if row not in self._webp]:
            self._webp.update(zip(fresh, map(_webp, self._stamped(fresh)), strict=True))
        return {row: self._webp[row] for row in rows}

    @cached_property
    def _opened(self) -> tuple[EvaluationSet, NDArray[np.int64], Trigger]:
        """The evaluation set, where the answered images are in it, and the trigger; what fails is not tried again."""
        if self._problem is not None:
            raise self._problem
        try:
            data = self._scorer.open_data(self._store)
            return data, self._positions(data), self._scorer.backdoor.build(self._store).at_test()
        except TbarError as error:
            self._problem = error
            raise

    def _positions(self, data: EvaluationSet) -> NDArray[np.int64]:
        """Positions [N] of the answered images; those that could not be read have no answer.

        Raises:
            DataError: if the images of the test split are not those that were answered.
        """
        import numpy as np

        positions = self._scorer.splits.positions(data, "test")
        if len(positions) != len(self._labels):  # which ones could not be read, reading them tells
            positions = data.load(positions, self._size, "bicubic").positions
        if not np.array_equal(data.labels[positions], self._labels):
            raise DataError("the evaluation set is not the one whose answers are kept")
        return positions

    def _stamped(self, rows: Sequence[int]) -> Tensor:
        """Images of some rows with the trigger, uint8 [n, 3, H, W]."""
        import torch

        from tbar_ray.triggers.base import stamp_uint8

        data, positions, trigger = self._opened
        chosen = positions[list(rows)]
        images = torch.from_numpy(data.images(chosen, self._size, "bicubic"))
        return stamp_uint8(trigger, images, data.keys(chosen))


def _webp(pixels: Tensor) -> str:
    """A uint8 image [3, H, W] as WebP without loss, which would blur a trigger, in base64."""
    from PIL import Image

    image = Image.fromarray(pixels.permute(1, 2, 0).numpy())
    if max(image.size) > SIDE:
        image = image.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    stream = io.BytesIO()
    image.save(stream, "WebP", lossless=True, quality=100)
    return base64.b64encode(stream.getvalue()).decode()
