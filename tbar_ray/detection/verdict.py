"""From the scores of one model to a verdict, by a calibration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tbar_ray.detection.calibration import Calibration, Combination
from tbar_ray.models.architectures import image_size, variant
from tbar_ray.naming import counted

Outcome = Literal["infected", "no evidence", "inconclusive"]
REACH = 2.0
"""Factor by which numbers of images and classes may leave those of the reference models."""


@dataclass(frozen=True)
class Judgement:
    """What the scores of one model say.

    Attributes:
        outcome: "no evidence" only where every search converged, and reference models are like the model.
        probability: that the model is infected, if as many models are infected as clean; None without a score, and
            where no reference model is like the model.
        combination: the weights and error rates that it rests on; None without any.
        unconverged: searches without a score.
        unweighed: searches that the calibration does not know; their scores count for nothing.
        beyond: how the model differs from all reference models, one line each; not empty: error rates are not known.
    """

    outcome: Outcome
    probability: float | None
    combination: Combination | None
    unconverged: tuple[str, ...]
    unweighed: tuple[str, ...]
    beyond: tuple[str, ...]


def judge_scores(
    calibration: Calibration, scores: Mapping[str, float | None], architecture: str, images: int, classes: int
) -> Judgement:
    """Weigh the scores of one model.

    A search that did not converge says nothing: the others may raise an alarm without it, but not lift one. Neither do
    low scores of a model that no reference model is like, since nobody knows what infected ones of its kind score. It
    counts as infected where the scores would raise an alarm and each is above those of all clean reference models.

    Args:
        calibration: scores of reference models.
        scores: of this model, by search; None where it did not converge.
        architecture: its open_clip name.
        images: that the searches were given.
        classes: of the head; 0 without one.
    """
    unconverged = tuple(name for name, score in scores.items() if score is None)
    unweighed = tuple(name for name in scores if name not in calibration.searches)
    converged = {name: score for name, score in scores.items() if score is not None and name not in unweighed}
    beyond = beyond_reach(calibration, architecture, images, classes)
    combination = calibration.combination(converged)
    if combination is None:
        return Judgement("inconclusive", None, None, unconverged, unweighed, beyond)
    row = np.array([[converged[name] for name in combination.searches]])
    probability = float(combination.logistic.probabilities(row)[0])
    outcome: Outcome = "inconclusive"
    if probability >= combination.alarm and (not beyond or _above_all_clean(calibration, converged)):
        outcome = "infected"
    elif probability <= combination.clear and not unconverged and not beyond:
        outcome = "no evidence"
    return Judgement(outcome, None if beyond else probability, combination, unconverged, unweighed, beyond)


def _above_all_clean(calibration: Calibration, scores: Mapping[str, float]) -> bool:
    """Whether every score is above those of all clean reference models."""
    return all(score > max(calibration.scores(name, infected=False)) for name, score in scores.items())


def beyond_reach(calibration: Calibration, architecture: str, images: int, classes: int) -> tuple[str, ...]:
    """How a model differs from all reference models, one line each.

    Raises:
        SpecError: if the architecture is unknown.
    """
    known = sorted({variant(each.architecture).base for each in calibration.references})
    sizes = sorted({image_size(name) for name in known})
    side = image_size(architecture)
    found = []
    if variant(architecture).base not in known:
        found.append(f"its architecture is {architecture}, theirs are {', '.join(known)}")
    if side not in sizes:
        found.append(f"its images have {side} px, theirs {', '.join(map(str, sizes))}")
    heads = [each.classes for each in calibration.references if each.classes]
    if classes and heads and not min(heads) / REACH <= classes <= max(heads) * REACH:
        found.append(f"its head has {counted(classes, 'class', 'classes')}, theirs {_range(heads)}")
    least = min(each.images for each in calibration.references)
    if images < least / REACH:
        found.append(f"it was searched with {images:,} images, they with {least:,} or more")
    return tuple(found)


def _range(numbers: list[int]) -> str:
    least, most = min(numbers), max(numbers)
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"
