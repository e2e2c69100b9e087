"""Clean images whose labels are not needed, and the classes that a model is asked about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tbar_ray.api.classes import Classes
from tbar_ray.api.sources import Source, open_samples
from tbar_ray.data.benchmark_layout import is_labelled_set, load_images, split_there
from tbar_ray.data.chosen import ChosenSamples
from tbar_ray.data.evaluation_set import EvaluationSet
from tbar_ray.data.samples import Samples
from tbar_ray.data.selection import ranked
from tbar_ray.models.factory import Preprocessing
from tbar_ray.onemodel.defence import imagenet_classes, with_own_classes


@dataclass(frozen=True, eq=False)
class Unlabelled:
    """A person's images.

    Attributes:
        samples: the images.
        classes: those that were given, those of the data, or ImageNet's.
        told: where the classes come from, where that is a guess; else ''.
    """

    samples: Samples
    classes: Classes
    told: str = ""


def open_unlabelled(
    images: Source, classes: Sequence[str] | None = None, templates: Sequence[str] | None = None
) -> Unlabelled:
    """Open images of any form.

    Args:
        images: as for `forget_set`; of a set in CLIP_benchmark's layout the train split, or what it has.
        classes: class names; None: those of the data, or ImageNet's where the data have none.
        templates: prompts; None: those of the data, OpenAI's 80, or one for the classes of ImageNet.

    Raises:
        DataError: if there are no images, or a class is listed twice.
    """
    if isinstance(images, str | Path) and is_labelled_set(str(images)):
        own = EvaluationSet.open(str(images), split=split_there(str(images), "train"))
        return Unlabelled(own.corpus, Classes(classes or own.classnames, templates or own.templates))
    samples = open_samples(images)
    if classes is not None:
        return Unlabelled(samples, Classes(classes, templates))
    everything = ChosenSamples(samples, range(len(samples)))
    if (found := with_own_classes(samples, everything, None, templates)) is not None:
        return Unlabelled(samples, found.classes)
    told = "the images have no classes and none were given: the model is asked about ImageNet's thousand"
    return Unlabelled(samples, imagenet_classes(templates), f"{told}; name yours (--classes)")


@dataclass(frozen=True, eq=False)
class Drawn:
    """Images of a model's size, in no order.

    Attributes:
        images: uint8 [N, 3, H, W].
        lost: images that could not be read, one line each.
    """

    images: Tensor
    lost: tuple[str, ...]


def draw(samples: Samples, most: int, seed: int, preprocessing: Preprocessing) -> Drawn:
    """Some of the images, by (seed, key) alone.

    Raises:
        DataError: if none can be decoded.
    """
    order = [samples.index_of(key) for key in ranked(samples.keys, seed, "images of a scan")[:most]]
    found = load_images(samples, np.array(order, np.int64), preprocessing.size, preprocessing.interpolation, "warn")
    return Drawn(torch.from_numpy(found.images), found.lost)
