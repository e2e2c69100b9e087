"""Removing the backdoor of an examined model: the edit, its strength, and the scores of what it leaves."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from tbar_ray.api.estimate import Estimate, estimate
from tbar_ray.api.model import Model
from tbar_ray.api.requests import forget_set, pairs
from tbar_ray.api.walk import Walk
from tbar_ray.data.poison_manifest import changed_keys, read_manifest
from tbar_ray.errors import ScientificError
from tbar_ray.evaluation.rates import Rate
from tbar_ray.onemodel.examine import Examined, Watch, unwatched
from tbar_ray.onemodel.layers import LayerChange, layer_changes
from tbar_ray.onemodel.measure import Measurement, measure, measure_retrieval
from tbar_ray.onemodel.pictures import Picture, best_answers


@dataclass(frozen=True, eq=False)
class Cleaned:
    """A model after cleaning.

    Attributes:
        examined: what it was before.
        model: the cleaned model; its weights are those of `examined.opened.model`, which is no longer suspicious.
        walk: the scores along α on validation images.
        alpha: the strength that was applied.
        coefficient: what the edit was multiplied by: −α or α.
        feasible: whether it keeps the share of CA that was asked for.
        after: scores on test.
        pictures: the same stamped images, with the answers of both models.
        layers: what changed in the weights.
        found: further results of the method.
        keys: of the samples that were unlearned with, by their use.
        excluded: keys that were not to be used, since the attacker changed them or they are for evaluation.
        statistics_images: clean images on which running statistics were re-estimated; None for a model without.
        retrieval: rates by retrieval set.
        seconds: that its parts took.
    """

    examined: Examined
    model: Model
    walk: Walk
    alpha: float
    coefficient: float
    feasible: bool
    after: Measurement
    pictures: tuple[Picture, ...]
    layers: tuple[LayerChange, ...]
    found: Mapping[str, object]
    keys: Mapping[str, tuple[str, ...]]
    excluded: int
    statistics_images: int | None
    retrieval: Mapping[str, Mapping[str, Rate]]
    seconds: Mapping[str, float] = field(default_factory=dict)


def remove(examined: Examined, *, watch: Watch = unwatched) -> Cleaned:
    """Clean a model. Its weights are changed in place, so that the two never take memory at once.

    Raises:
        DataError: if the images do not suffice for the method.
        ScientificError: if the method fails, or of several α none keeps enough CA.
    """
    started = time.perf_counter()
    excluded = excluded_keys(examined)
    found = _estimated(examined, excluded, watch)
    estimated = time.perf_counter()
    walk = _walked(examined, found, watch)
    alpha = _chosen(walk)
    coefficient = found.method.coefficient(alpha)
    changes = layer_changes(examined.opened.model.module.state_dict(), found.edit.vector, coefficient)
    walked = time.perf_counter()
    watch("scoring the cleaned model", 0, 1)
    model = found.apply(alpha, in_place=True, statistics=examined.settings.statistics)
    after = measure(model, examined.test, examined.backdoor)
    watch("scoring the cleaned model", 1, 1)
    return Cleaned(
        examined=examined,
        model=model,
        walk=walk,
        alpha=alpha,
        coefficient=coefficient,
        feasible=walk.selected is not None,
        after=after,
        pictures=_pictures(examined, model),
        layers=tuple(changes),
        found=found.facts,
        keys={use: tuple(keys) for use, keys in found.keys.items()},
        excluded=len(excluded),
        statistics_images=_statistics_images(walk, found, coefficient),
        retrieval={url: measure_retrieval(model, url, examined.backdoor) for url in examined.retrieval},
        seconds={
            "unlearning": estimated - started,
            "choosing α": walked - estimated,
            "scoring": time.perf_counter() - walked,
        },
    )


def _chosen(walk: Walk) -> float:
    """The selected α; a single one that was asked for is taken whether it keeps enough CA or not."""
    if walk.selected is not None:
        return walk.selected
    if len(walk.scores) > 1:
        raise ScientificError(f"nothing was written: {_infeasible(walk)}")
    (only,) = walk.scores
    return only


def _statistics_images(walk: Walk, found: Estimate, coefficient: float) -> int | None:
    """Images on which statistics were estimated anew; None where they were not."""
    if walk.statistics != "reestimated" or coefficient == 0 or found.clean_images is None:
        return None
    return len(found.clean_images)


def excluded_keys(examined: Examined) -> frozenset[str]:
    """Keys of images that are not to be unlearned with: the attacker changed them, or they are for evaluation."""
    campaign = examined.opened.campaign
    poisoned = frozenset() if campaign is None else changed_keys(read_manifest(campaign))
    return poisoned | examined.defence.held


def _estimated(examined: Examined, excluded: frozenset[str], watch: Watch) -> Estimate:
    settings, needs, samples = examined.settings, examined.method.needs, examined.defence.samples
    forget = clean = None
    if "forget set" in needs:
        forget = forget_set(samples, settings.forget, settings.clean_fraction, exclude=excluded)
    if "clean pairs" in needs:
        clean = pairs(samples, settings.clean_pairs, exclude=excluded)
    what = f"unlearning ({settings.method})"
    watch(what, 0, 0)
    return estimate(
        examined.opened.model,
        settings.method,
        classes=examined.defence.evaluation.classes,
        backdoor=examined.backdoor,
        forget=forget,
        clean=clean,
        seed=settings.seed,
        progress=lambda step, total, loss, rate: watch(what, step, total),  # noqa: ARG005 - the bar shows steps
        **settings.parameters,
    )


def _walked(examined: Examined, found: Estimate, watch: Watch) -> Walk:
    settings = examined.settings
    alphas = settings.alphas or found.alphas
    watch("choosing α", 0, len(alphas))
    return found.walk(
        examined.validation,
        alphas,
        backdoor=examined.backdoor,
        min_retention=settings.min_retention,
        max_asr=settings.max_asr,
        prefer=settings.prefer,
        statistics=settings.statistics,
        infected=examined.gate.scores,
        progress=lambda done: watch("choosing α", done, len(alphas)),
    )


def _infeasible(walk: Walk) -> str:
    best = max(walk.scores.items(), key=lambda entry: entry[1].ca.value)
    return (
        f"no α keeps {walk.min_retention:.0%} of the model's CA ({walk.reference_ca:.1%}); at α {best[0]:g} it is "
        f"{best[1].ca.value:.1%}: try smaller α, another method, or a lower --min-retention"
    )


def _pictures(examined: Examined, model: Model) -> tuple[Picture, ...]:
    if not examined.pictures:
        return ()
    images = torch.stack([picture.pixels for picture in examined.pictures])
    answers = best_answers(model, images, examined.test.classes)
    both = zip(examined.pictures, answers, strict=True)
    return tuple(dataclasses.replace(picture, after=best) for picture, best in both)
