"""What a stream prepares: attacks, sizes, and the part of it that readers need to know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tbar_ray.data.images import Interpolation
from tbar_ray.streaming.reader import Reading
from tbar_ray.triggers.base import Trigger


@dataclass(frozen=True)
class Poison:
    """What one attack changes: the readers captions and labels, the training's device images (`Stamping`).

    Attributes:
        trigger: what is stamped.
        captions: the caption of every poisoned key.
        cover: keys whose images get the trigger's cover change and keep caption and label.
        label: class index of poisoned samples, where the stream carries labels.
    """

    trigger: Trigger
    captions: Mapping[str, str]
    cover: frozenset[str] = frozenset()
    label: int | None = None


@dataclass(frozen=True)
class ReaderOptions:
    """How samples are prepared.

    Attributes:
        architecture: names the tokenizer.
        size: side of the images in pixels.
        interpolation: filter of the resize.
        poisons: the attacks; no key is in two of them.
        labels: whether batches carry class labels (a labelled set) instead of captions (pairs).
    """

    architecture: str
    size: int
    interpolation: Interpolation
    poisons: tuple[Poison, ...] = ()
    labels: bool = False

    @property
    def reading(self) -> Reading:
        """Return what readers are told: no trigger among it, whose numeric code they would have to import."""
        replaced: dict[str, str | int] = {}
        for poison in self.poisons:
            for key, caption in poison.captions.items():
                replaced[key] = caption if poison.label is None or not self.labels else poison.label
        return Reading(self.size, self.interpolation, replaced, self.labels)
