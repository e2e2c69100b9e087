"""Zero-shot evaluation sets in CLIP_benchmark's WebDataset layout."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tbar_ray.data.benchmark_layout import (
    Loaded,
    Policy,
    Positions,
    has_split,
    load_images,
    open_split,
    read_lines,
)
from tbar_ray.data.class_names import find_class
from tbar_ray.data.corpus import Corpus
from tbar_ray.data.images import Interpolation
from tbar_ray.data.keys import within
from tbar_ray.data.layout import CLASSNAMES, TEMPLATES, SplitName
from tbar_ray.data.samples import Samples
from tbar_ray.data.selection import ranked, shares
from tbar_ray.errors import DataError

__all__ = ["EvaluationSet", "Positions", "SplitName", "has_split", "read_lines"]


@dataclass(frozen=True)
class EvaluationSet:
    """Class names, prompt templates and labelled images of one data set.

    Attributes:
        classnames: C class names; a label is an index into them.
        templates: prompt templates with `{c}` for the class name.
        corpus: the images.
        labels: class indices, int64 [N].
        namespace: what `keys` puts before the samples' own keys, so that no draw for an image of this set is that for a
            training image of the same key; '' where the samples' keys are in a namespace already.
        policy: what an image does that cannot be decoded.
        lost: what the shards lost, one line each: shard, key and reason.
    """

    classnames: tuple[str, ...]
    templates: tuple[str, ...]
    corpus: Samples
    labels: NDArray[np.int64]
    namespace: str = "evaluation"
    policy: Policy = "warn"
    lost: tuple[str, ...] = ()

    @classmethod
    def open(
        cls, url: str, *, split: SplitName = "test", cache: Path | None = None, policy: Policy = "warn"
    ) -> EvaluationSet:
        """Open `url` (classnames.txt, zeroshot_classification_templates.txt, SPLIT/nshards.txt, SPLIT/N.tar).

        Raises:
            DataError: if a part is missing or empty, there is no image, or a label is not a class index.
        """
        classnames = read_lines(url, CLASSNAMES)
        templates = read_lines(url, TEMPLATES)
        corpus = open_split(url, split, cache=cache, policy=policy)
        labels = [corpus.class_index(position) for position in range(len(corpus))]
        for position, label in enumerate(labels):
            if label is None or not 0 <= label < len(classnames):
                shard = corpus.shard_urls[corpus.shard_index(position)]
                has = "no .cls" if label is None else f"class {label}"
                raise DataError(
                    f"{shard}: sample {corpus.name(position)!r} has {has}, "
                    f"but classnames.txt has {len(classnames)} classes"
                )
        lost = tuple(map(str, corpus.problems))
        return cls(tuple(classnames), tuple(templates), corpus, np.array(labels, dtype=np.int64), "", policy, lost)

    def empty_classes(self) -> list[str]:
        """Classes without an image: they can still be predicted, but their accuracy is undefined."""
        seen = set(self.labels.tolist())
        return [name for index, name in enumerate(self.classnames) if index not in seen]

    def class_index(self, name: str) -> int:
        """Index of the class `name` in `classnames`.

        Raises:
            DataError: if the set has no class of that name, or several.
        """
        try:
            return find_class(name, self.classnames)
        except DataError as error:
            raise DataError(f"target {error}") from None

    def split(self, validation_fraction: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Disjoint positions of (validation, test), int64, stratified by class; a function of (seed, key) only.

        The fraction is that of all images: each class gives its share, rounded down, and those with the largest
        remainders one image more (`shares`).

        Raises:
            DataError: if either part would be empty.
        """
        validation: list[int] = []
        test: list[int] = []
        sizes = np.bincount(self.labels, minlength=len(self.classnames)).tolist()
        cuts = shares(sizes, validation_fraction, seed)
        for label in range(len(self.classnames)):
            members = {self._name(p): p for p in np.flatnonzero(self.labels == label).tolist()}
            order = [members[key] for key in ranked(members, seed, "validation split")]
            cut = cuts[label]
            validation += order[:cut]
            test += order[cut:]
        if not validation or not test:
            raise DataError(
                f"evaluation: a validation fraction of {validation_fraction} of {len(self.labels)} images "
                f"leaves {len(validation)} for validation and {len(test)} for test; provide more images"
            )
        return np.array(sorted(validation), np.int64), np.array(sorted(test), np.int64)

    def _name(self, position: int) -> str:
        """Key without a namespace: a repaired image in a set changes its signature, but must not move the cut."""
        return self.corpus.name(position) if isinstance(self.corpus, Corpus) else self.corpus.keys[position]

    def images(self, positions: Positions, size: int, interpolation: Interpolation) -> NDArray[np.uint8]:
        """Decode images to uint8 [n, 3, size, size].

        Raises:
            DataError: if one cannot be decoded; it names shard and key.
        """
        return load_images(self.corpus, positions, size, interpolation).images

    def load(self, positions: Positions, size: int, interpolation: Interpolation) -> Loaded:
        """Decode images; under the policy "warn", those that cannot be decoded are left out and named.

        Raises:
            DataError: as `load_images`.
        """
        return load_images(self.corpus, positions, size, interpolation, self.policy)

    def keys(self, positions: Positions) -> list[str]:
        """Keys at these positions, on which draws depend."""
        return [within(self.namespace, self.corpus.keys[int(position)]) for position in positions]
