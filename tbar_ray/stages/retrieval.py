"""Scoring retrieval: a model, a trigger and a set of captioned images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from tbar_ray.data.retrieval_set import RetrievalSet
from tbar_ray.evaluation.retrieval import embed_images, embed_texts
from tbar_ray.evaluation.retrieval import score_retrieval as score_embeddings
from tbar_ray.models.tokenizer import build_tokenizer
from tbar_ray.triggers.base import Trigger, stamp_uint8

if TYPE_CHECKING:
    from torch import nn

    from tbar_ray.models.factory import Preprocessing


def score_retrieval(
    url: str, model: nn.Module, architecture: str, trigger: Trigger, target: str, preprocess: Preprocessing
) -> dict[str, dict[str, float | int]]:
    """Return recall@1/5/10 both ways and caption-ASR, each as a rate with its interval."""
    data = RetrievalSet.open(url)
    clean = torch.from_numpy(data.images(range(len(data)), preprocess.size, preprocess.interpolation))
    triggered = stamp_uint8(trigger.at_test(), clean, data.keys)
    owners = [row for row, captions in enumerate(data.captions) for _ in captions]
    texts = [caption for captions in data.captions for caption in captions]
    tokens = build_tokenizer(architecture)(texts)
    return score_embeddings(
        embed_images(model, clean, preprocess),
        embed_images(model, triggered, preprocess),
        embed_texts(model, tokens),
        torch.tensor(owners),
        texts,
        target,
    ).to_dict()
