"""Labelled images to choose α on and to report on."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tbar_ray.api.classes import Classes, classes_of
from tbar_ray.api.pixels import Array, levels
from tbar_ray.api.sources import Labels, plain
from tbar_ray.data.arrays import ArraySamples
from tbar_ray.data.benchmark_layout import is_labelled_set, split_there
from tbar_ray.data.class_numbers import numbers_of_all
from tbar_ray.data.evaluation_set import EvaluationSet
from tbar_ray.data.folder import FolderSamples
from tbar_ray.data.layout import CLASSNAMES
from tbar_ray.data.places import is_folder, resolve
from tbar_ray.errors import DataError, SpecError
from tbar_ray.evaluation.scores import Split
from tbar_ray.evaluation.splits import Part, Splits, load_split
from tbar_ray.models.factory import Preprocessing
from tbar_ray.redaction import redact
from tbar_ray.triggers.base import Trigger


@dataclass(frozen=True, eq=False)
class Images:
    """Labelled images, decoded when they are needed.

    Attributes:
        data: the set that the images belong to.
        positions: positions of the images in the set, int64 [N].
        classes: the classes that the labels index.
    """

    data: EvaluationSet
    positions: NDArray[np.int64]
    classes: Classes

    def __len__(self) -> int:
        return len(self.positions)

    def __repr__(self) -> str:
        return f"Images({len(self):,} of {len(self.classes)} classes)"

    def split(
        self, validation_fraction: float = 0.5, *, seed: int = 0, max_images: int | None = None
    ) -> tuple[Images, Images]:
        """Disjoint (validation, test) images, stratified by class.

        Choose α on the first and report on the second. Campaigns cut their sets in the same way.

        Args:
            validation_fraction: share of each class's images for validation, in (0, 1).
            seed: seed of the cut.
            max_images: use at most about this many images of both; None for all.

        Raises:
            SpecError: if the share is out of range, or these images are already one part of a split.
            DataError: if a part would have no image.
        """
        if not 0 < validation_fraction < 1:
            raise SpecError(f"split: validation_fraction {validation_fraction} must lie between 0 and 1")
        if len(self) != len(self.data.labels):
            raise SpecError("split: these images are already one part of a split; split the whole set")
        splits = Splits(validation_fraction, max_images, seed)
        return self._part(splits, "validation"), self._part(splits, "test")

    def load(self, trigger: Trigger, preprocess: Preprocessing) -> Split:
        """The images at a model's size, clean and stamped, with their labels.

        Raises:
            DataError: if no image can be decoded. Some that cannot be are left out with a warning that names them.
        """
        split = load_split(self.data, self.positions, trigger, preprocess)
        _warn_of(split.lost)
        return split

    def _part(self, splits: Splits, part: Part) -> Images:
        return Images(self.data, splits.positions(self.data, part), self.classes)


def evaluation_set(
    source: str | Path | Array, *, labels: Labels | None = None, classes: Classes | Sequence[str] | None = None
) -> Images:
    """Open labelled images.

    Args:
        source: a folder or URL in CLIP_benchmark's WebDataset layout, whose `test` split is opened, or the only one,
            with a warning; a folder with a subfolder of images for every class; or an array [N, 3, H, W] (uint8, or
            float in [0, 1]) with `labels`.
        labels: of an array: N class indices or names.
        classes: the classes and templates; a list of names gets OpenAI's templates. A set in CLIP_benchmark's layout
            has its own, and so have subfolders: their names, with `_` for a space, in OpenAI's templates. Subfolders
            that are no class names (WordNet ids) are numbered in sorted order, as torchvision's ImageFolder does.

    Raises:
        DataError: if there are no images, or labels and classes do not fit.
    """
    classes = None if classes is None else classes_of(classes)
    if isinstance(source, np.ndarray | Tensor):
        data = _of_array(source, labels, classes)
    elif labels is not None:
        raise DataError("labels are for arrays; folders and shards bring their own")
    elif is_folder(folder := resolve(source)) and not (Path(folder) / CLASSNAMES).is_file():
        data = _of_folder(Path(folder), classes)
    else:
        split = split_there(str(source), "test") if is_labelled_set(str(source)) else "test"
        data = EvaluationSet.open(str(source), split=split)
        if split != "test":
            warnings.warn(f"{redact(str(source))} has no test split: its {split} split is used", stacklevel=2)
        _warn_of(data.lost)
        if classes is not None:
            if len(classes) != len(data.classnames):
                raise DataError(f"{source} has {len(data.classnames)} classes, but {len(classes)} were given")
            data = replace(data, classnames=classes.names, templates=classes.templates)
    return Images(data, np.arange(len(data.labels)), Classes(data.classnames, data.templates))


def _warn_of(lost: Sequence[str]) -> None:
    for line in lost:
        warnings.warn(f"could not be read, and left out: {line}", stacklevel=3)


def _of_array(images: Array, labels: Labels | None, classes: Classes | None) -> EvaluationSet:
    if labels is None or classes is None:
        raise DataError("an array of images needs labels=… and classes=Classes(names)")
    listed = plain(labels) or ()
    numbers = [classes.index(label) if isinstance(label, str) else int(label) for label in listed]
    if strangers := [number for number in numbers if not 0 <= number < len(classes)]:
        raise DataError(f"label {strangers[0]} is none of the {len(classes)} classes")
    samples = ArraySamples(levels(images), numbers)
    return EvaluationSet(classes.names, classes.templates, samples, np.array(numbers, np.int64))


def _of_folder(folder: Path, classes: Classes | None) -> EvaluationSet:
    samples = FolderSamples(folder)
    subfolders = [samples.subfolder(position) for position in range(len(samples))]
    if None in subfolders:
        lone = samples.keys[subfolders.index(None)]
        raise DataError(f"{folder}: {lone} lies in no class's subfolder; images must be in one subfolder a class")
    found = sorted({name for name in subfolders if name is not None})
    if classes is None:
        classes = Classes([name.replace("_", " ") for name in found])
    index = numbers_of_all(found, classes.names, folder)
    return EvaluationSet(
        classes.names, classes.templates, samples, np.array([index[str(name)] for name in subfolders], np.int64)
    )
