"""Everything that is measured of one model: CA, ASR and PA, class by class, and retrieval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tbar_ray.api.backdoor import Backdoor
from tbar_ray.api.images import Images
from tbar_ray.api.model import Model
from tbar_ray.data.retrieval_set import RetrievalSet
from tbar_ray.evaluation.rates import Rate
from tbar_ray.evaluation.retrieval import embed_images, embed_texts, recalls
from tbar_ray.evaluation.scores import TOP, Predictions, Scores, Split, predict_split, score_predictions
from tbar_ray.evaluation.zeroshot import predict_topk
from tbar_ray.stages.retrieval import score_retrieval


@dataclass(frozen=True)
class Measurement:
    """The scores of one model on labelled images.

    Attributes:
        ca: accuracy on clean images.
        ca_top5: share of clean images whose true class is among the five best answers.
        by_class: accuracy on the clean images of each class that has any.
        scores: with the trigger, as campaigns have them; None where no backdoor was given.
        baseline: share of the same images of other classes that are answered with the target without the trigger; what
            ASR is to be compared with. None where no backdoor was given.
        lost: images that could not be read, one line each.
    """

    ca: Rate
    ca_top5: Rate
    by_class: Mapping[str, Rate]
    scores: Scores | None = None
    baseline: Rate | None = None
    lost: tuple[str, ...] = ()

    @property
    def asr(self) -> Rate | None:
        """Share of triggered images of other classes that are answered with the target."""
        return None if self.scores is None else self.scores.asr

    @property
    def pa(self) -> Rate | None:
        """Share of triggered images of other classes that are answered with their true class."""
        return None if self.scores is None else self.scores.pa

    def rates(self) -> dict[str, Rate]:
        """The rates that are there, by name: `ca`, `ca_top5`, `asr`, `asr_all_images`, `pa`, `baseline`."""
        found: dict[str, Rate | None] = {"ca": self.ca, "ca_top5": self.ca_top5}
        if self.scores is not None:
            found |= {"asr": self.scores.asr, "asr_all_images": self.scores.asr_all_images, "pa": self.scores.pa}
        found["baseline"] = self.baseline
        return {name: rate for name, rate in found.items() if rate is not None}

    def to_dict(self) -> dict[str, Any]:
        """All rates, each with n and interval, for JSON."""
        rates = {name: rate.to_dict() for name, rate in self.rates().items()}
        return {**rates, "by_class": {name: rate.to_dict() for name, rate in self.by_class.items()}}


def measure(model: Model, images: Images, backdoor: Backdoor | None = None) -> Measurement:
    """Score a model on labelled images and, where a backdoor is given, on the same images with its trigger.

    CA, ASR and PA are those of `evaluate`.

    Raises:
        DataError: if the target is no class, every image is of the target class, or no image can be decoded.
    """
    preprocess = model.preprocessing
    if backdoor is not None:
        target = images.classes.index(backdoor.target)
        split = images.load(backdoor.trigger, preprocess)
        with model.answering(images.classes) as (module, head):
            predictions = predict_split(module, head, split, preprocess)
        return measured(predictions, split, target, images.classes.names)
    loaded = images.data.load(images.positions, preprocess.size, preprocess.interpolation)
    with model.answering(images.classes) as (module, head):
        best = predict_topk(module, head, torch.from_numpy(loaded.images), preprocess, TOP)
    labels = torch.from_numpy(images.data.labels[loaded.positions])
    among = int((best == labels[:, None]).any(1).sum())
    return Measurement(
        _rate(best[:, 0] == labels),
        Rate.of(among, len(labels)),
        _by_class(best[:, 0], labels, images.classes.names),
        lost=loaded.lost,
    )


def measured(predictions: Predictions, split: Split, target: int, names: tuple[str, ...]) -> Measurement:
    """Count a model's answers on a split."""
    scores = score_predictions(predictions, split.labels, target)
    other = split.labels != target
    return Measurement(
        scores.ca,
        scores.ca_top5,
        _by_class(predictions.clean, split.labels, names),
        scores,
        _rate(predictions.clean[other] == target),
        split.lost,
    )


def measure_retrieval(model: Model, url: str, backdoor: Backdoor | None = None) -> dict[str, Rate]:
    """Recall@1, 5 and 10 both ways on a retrieval set, by name; with a backdoor the caption ASR too.

    Raises:
        DataError: if the set cannot be read or, with a backdoor, none or all of its images show the target.
    """
    data, preprocess = RetrievalSet.open(url), model.preprocessing
    if backdoor is not None:
        scored = score_retrieval(
            data, model.module, model.architecture, backdoor.trigger, backdoor.target, preprocess
        ).rates
        return {name: Rate(**rate) for name, rate in scored.items()}  # type: ignore[arg-type]
    images, positions, _ = data.load(preprocess.size, preprocess.interpolation)
    captions = [data.captions[position] for position in positions]
    owner = torch.tensor([row for row, several in enumerate(captions) for _ in several])
    texts = [text for several in captions for text in several]
    found = recalls(
        embed_images(model.module, torch.from_numpy(images), preprocess),
        embed_texts(model.module, model.tokenizer(texts)),
        owner,
        texts,
    )
    ways = zip(("image_to_text", "text_to_image"), found, strict=True)
    return {f"{way}_at_{k}": rate for way, by_rank in ways for k, rate in by_rank.items()}


def _by_class(answers: Tensor, labels: Tensor, names: tuple[str, ...]) -> dict[str, Rate]:
    return {
        name: _rate(answers[own] == number)
        for number, name in enumerate(names)
        if bool((own := labels == number).any())
    }


def _rate(hits: Tensor) -> Rate:
    return Rate.of(int(hits.sum()), len(hits))
