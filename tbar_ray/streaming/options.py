"""Options of a stream: attacks, image size, and the subset of options that readers receive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tbar_ray.data.images import Interpolation
from tbar_ray.streaming.reader import Reading
from tbar_ray.triggers.base import Trigger


@dataclass(frozen=True)
class Poison:
    """Changes of one attack: readers replace captions and labels; `Stamping` changes images on the training device.

    Attributes:
        trigger: the trigger to stamp.
        captions: new caption by poisoned key.
        cover: keys whose images get the trigger's cover change; caption and label are unchanged.
        label: class index of poisoned samples, if the stream carries labels.
    """

    trigger: Trigger
    captions: Mapping[str, str]
    cover: frozenset[str] = frozenset()
    label: int | None = None


@dataclass(frozen=True)
class ReaderOptions:
    """How samples are prepared.

    Attributes:
        architecture: determines the tokenizer.
        size: side of the images in pixels.
        interpolation: filter of the resize.
        poisons: the attacks; no key belongs to two of them.
        labels: whether batches carry class labels (a labelled set) instead of captions (pairs).
    """

    architecture: str
    size: int
    interpolation: Interpolation
    poisons: tuple[Poison, ...] = ()
    labels: bool = False

    @property
    def reading(self) -> Reading:
        """Options sent to readers. They contain no trigger, so that readers need not import numeric code."""
        replaced: dict[str, str | int] = {}
        for poison in self.poisons:
            for key, caption in poison.captions.items():
                replaced[key] = caption if poison.label is None or not self.labels else poison.label
        return Reading(self.size, self.interpolation, replaced, self.labels)
