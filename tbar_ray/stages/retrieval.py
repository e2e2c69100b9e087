"""Scoring retrieval: a model, a trigger and a set of captioned images."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from tbar_ray.data.retrieval_set import RetrievalSet
from tbar_ray.evaluation.retrieval import embed_images, embed_texts
from tbar_ray.evaluation.retrieval import score_retrieval as score_embeddings
from tbar_ray.models.tokenizer import build_tokenizer
from tbar_ray.triggers.base import Trigger, stamp_uint8

if TYPE_CHECKING:
    from torch import nn

    from tbar_ray.models.factory import Preprocessing


class ScoredRetrieval(NamedTuple):
    """Rates by name, and what of the set could not be read, one line each."""

    rates: dict[str, dict[str, float | int]]
    lost: tuple[str, ...]


def score_retrieval(
    data: RetrievalSet, model: nn.Module, architecture: str, trigger: Trigger, target: str, preprocess: Preprocessing
) -> ScoredRetrieval:
    """Recall@1/5/10 both ways and caption-ASR, each as a rate with its interval."""
    images, positions, lost = data.load(preprocess.size, preprocess.interpolation)
    clean = torch.from_numpy(images)
    triggered = stamp_uint8(trigger.at_test(), clean, [data.keys[position] for position in positions])
    captioned = [data.captions[position] for position in positions]
    owners = [row for row, captions in enumerate(captioned) for _ in captions]
    texts = [caption for captions in captioned for caption in captions]
    tokens = build_tokenizer(architecture)(texts)
    scores = score_embeddings(
        embed_images(model, clean, preprocess),
        embed_images(model, triggered, preprocess),
        embed_texts(model, tokens),
        torch.tensor(owners),
        texts,
        target,
    )
    return ScoredRetrieval(scores.to_dict(), lost)
