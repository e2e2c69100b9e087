"""The images that one person has: some to unlearn with, others to choose α on and to report on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tbar_ray.api.classes import Classes
from tbar_ray.api.images import Images, evaluation_set
from tbar_ray.api.model import Model
from tbar_ray.api.sources import Source, open_samples
from tbar_ray.data.benchmark_layout import has_split, is_labelled_set
from tbar_ray.data.chosen import ChosenSamples
from tbar_ray.data.evaluation_set import EvaluationSet
from tbar_ray.data.folder import FolderSamples
from tbar_ray.data.layout import SPLITS
from tbar_ray.data.places import resolve
from tbar_ray.data.samples import Samples
from tbar_ray.data.selection import ranked
from tbar_ray.errors import DataError, SpecError
from tbar_ray.models.library import open_clip
from tbar_ray.redaction import redact

QUICK_TEMPLATES = ("a photo of a {c}.",)
"""For the thousand classes of ImageNet, whose prompts in 80 templates take hours on a CPU."""


@dataclass(frozen=True, eq=False)
class Defence:
    """A person's images.

    Attributes:
        samples: those to unlearn with.
        held: keys among them that are kept for the evaluation, and not to be unlearned with.
        evaluation: labelled images, to be split into validation and test.
        answers: whether the labels are the suspicious model's own answers to the unstamped images, since no class is
            known. CA is then how often a model agrees with them.
        told: how the evaluation was derived, and what that costs; '' where it was given.
    """

    samples: Samples
    held: frozenset[str]
    evaluation: Images
    answers: bool = False
    told: str = ""


def open_defence(
    images: Source,
    evaluation: str | Path | None,
    model: Model,
    *,
    classes: Sequence[str] | None = None,
    templates: Sequence[str] | None = None,
    most: int | None = 2000,
    seed: int = 0,
) -> Defence:
    """Open a person's images, and derive the labelled ones where none are given.

    Args:
        images: as for `forget_set`.
        evaluation: as for `evaluation_set`; None: a set in CLIP_benchmark's layout with two splits has its own; else
            some of `images` are held out, with their classes where all of them have one, or the model's own answers.
        model: the suspicious model, whose answers stand in for classes.
        classes: class names; None: those of the data, or ImageNet's where the data have none.
        templates: prompts; None: those of the data, OpenAI's 80, or one for the classes of ImageNet.
        most: images held out, at most half of all; None: half.
        seed: of the choice of those.

    Raises:
        DataError: if there are no images, or labels and classes do not fit.
        SpecError: if the evaluation is the same folder as the images.
    """
    samples, own = open_samples(images), _labelled_set(images)
    splits = [split for split in SPLITS if has_split(own, split)] if own is not None else []
    if evaluation is None and own is not None and len(splits) == len(SPLITS):
        told = f"no --evaluation was given: the test split of {redact(own)} is used, unlearning draws from its train"
        return Defence(samples, frozenset(), _labelled(own, classes, templates), told=told)
    if evaluation is not None:
        if len(splits) < len(SPLITS):
            _require_another(images, evaluation)
        return Defence(samples, frozenset(), _labelled(evaluation, classes, templates))
    order = ranked(samples.keys, seed, "held for evaluation")
    half = len(order) // 2
    kept = sorted(samples.index_of(key) for key in order[: half if most is None else min(most, half)])
    if not kept:
        raise DataError(f"{redact(str(images))}: one image is not enough; some are unlearned with, others evaluate")
    held, chosen = frozenset(samples.keys[i] for i in kept), ChosenSamples(samples, kept)
    among = f" of the {splits[0]} split, which is the only one," if splits else ""
    count = (
        f"no --evaluation was given: {len(kept):,} of the {len(samples):,} images{among} are held out to choose α and "
        "report"
    )
    if own is not None:
        found: Images | None = _of_whole(_labelled(own, classes, templates), chosen)
    else:
        found = with_own_classes(samples, chosen, classes, templates)
    if found is not None:
        return Defence(samples, held, found, told=f"{count}, so that fewer can be unlearned with")
    found = _by_answer(chosen, Classes(classes, templates) if classes else imagenet_classes(templates), model)
    told = (
        f"{count}. They have no classes, so that the model's own answers to the unstamped images, among "
        f"{len(found.classes)} classes, stand for the true ones: CA and PA are agreement with the model that came in, "
        "and errors that it always made do not show. Labelled images (--evaluation) measure accuracy"
    )
    return Defence(samples, held, found, answers=True, told=told)


def _labelled_set(images: Source) -> str | None:
    """The labelled set in CLIP_benchmark's layout that the images are; None if they are none."""
    return str(images) if isinstance(images, str | Path) and is_labelled_set(str(images)) else None


def _labelled(url: str | Path, classes: Sequence[str] | None, templates: Sequence[str] | None) -> Images:
    """Labelled images that a user names; given templates replace the set's own, and given classes its names."""
    if classes is None and templates is None:
        return evaluation_set(url)
    return evaluation_set(url, classes=Classes(classes or evaluation_set(url).classes.names, templates))


def _require_another(images: Source, evaluation: str | Path) -> None:
    if isinstance(images, str | Path) and resolve(images) == resolve(evaluation):
        raise SpecError(
            f"--evaluation {redact(str(evaluation))} is --images too: what was unlearned with would be evaluated on; "
            "give another set, or leave --evaluation out, so that some of the images are held out"
        )


def with_own_classes(
    samples: Samples, chosen: ChosenSamples, classes: Sequence[str] | None, templates: Sequence[str] | None
) -> Images | None:
    """The chosen samples with the classes that they have; None if one has none."""
    if isinstance(samples, FolderSamples) and all(samples.subfolder(row) for row in range(len(samples))):
        return _of_whole(_labelled(samples.folder, classes, templates), chosen)
    labels = [chosen.label(row) for row in range(len(chosen))]
    known = [label for label in labels if label is not None]
    if len(known) < len(labels):
        return None
    own = Classes(classes or sorted({label.replace("_", " ") for label in known}), templates)
    numbers = [own.index(label if label in own.names else label.replace("_", " ")) for label in known]
    return _images(chosen, np.array(numbers, np.int64), own)


def _of_whole(whole: Images, chosen: ChosenSamples) -> Images:
    """The chosen samples with the labels that they have in a set."""
    rows = [whole.data.corpus.index_of(key) for key in chosen.keys]
    return _images(chosen, whole.data.labels[rows], whole.classes)


def _by_answer(chosen: ChosenSamples, classes: Classes, model: Model) -> Images:
    """Images whose labels are a model's answers; those that cannot be read are left out."""
    unknown = _images(chosen, np.zeros(len(chosen), np.int64), classes)
    seen = model.preprocessing
    loaded = unknown.data.load(unknown.positions, seen.size, seen.interpolation)
    labels = np.zeros(len(chosen), np.int64)
    labels[loaded.positions] = model.predict(loaded.images, classes).numpy()
    kept = [int(position) for position in loaded.positions]
    return _images(ChosenSamples(chosen, kept), labels[kept], classes)


def _images(chosen: ChosenSamples, labels: NDArray[np.int64], classes: Classes) -> Images:
    data = EvaluationSet(classes.names, classes.templates, chosen, labels)
    return Images(data, np.arange(len(labels)), classes)


def imagenet_classes(templates: Sequence[str] | None = None) -> Classes:
    """ImageNet's thousand, in one prompt each unless others are given."""
    return Classes(open_clip().IMAGENET_CLASSNAMES, templates or QUICK_TEMPLATES)
