"""Small things that running stages share: device, opened data, zero-shot heads and stamped splits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

import torch

from tbar_ray.data.evaluation_set import EvaluationSet
from tbar_ray.evaluation.scores import Split
from tbar_ray.evaluation.zeroshot import zero_shot_head
from tbar_ray.models.factory import Preprocessing, preprocessing
from tbar_ray.models.library import open_clip
from tbar_ray.models.tokenizer import build_tokenizer
from tbar_ray.stages.kept import KeptSplits, kept_limit
from tbar_ray.triggers.base import Trigger, stamp_uint8

if TYPE_CHECKING:
    from torch import Tensor, nn

Templates = Literal["evaluation", "openai"]


def device_for(gpus: float) -> torch.device:
    """Return the GPU that the stage was given, or the CPU."""
    return torch.device("cuda" if gpus and torch.cuda.is_available() else "cpu")


@cache
def kept_splits() -> KeptSplits:
    """Return the splits that this process keeps."""
    return KeptSplits(kept_limit())


@dataclass(frozen=True)
class Splits:
    """How an evaluation set is cut: validation (chooses α) and test (is reported), disjoint."""

    validation_fraction: float
    max_images: int | None
    seed: int


def load_split(data: EvaluationSet, splits: Splits, name: str, trigger: Trigger, preprocess: Preprocessing) -> Split:
    """Decode one split and stamp its triggered twin, as evaluation stamps it."""
    validation, test = data.split(splits.validation_fraction, splits.seed)
    positions = validation if name == "validation" else test
    if splits.max_images is not None:
        share = splits.max_images * (
            splits.validation_fraction if name == "validation" else 1 - splits.validation_fraction
        )
        # an evenly spaced subset: the positions are sorted by class or at random, either way all classes stay
        step = max(1.0, len(positions) / max(1.0, share))
        positions = positions[[int(i * step) for i in range(int(len(positions) / step))]]
    clean = torch.from_numpy(data.images(positions, preprocess.size, preprocess.interpolation))
    triggered = stamp_uint8(trigger.at_test(), clean, data.keys(positions))
    return Split(clean, triggered, torch.from_numpy(data.labels[positions]))


def head_of(
    model: nn.Module, architecture: str, data: EvaluationSet, templates: Templates = "evaluation"
) -> tuple[Tensor, Preprocessing]:
    """Return a model's zero-shot head on a set, and its preprocessing."""
    prompts = data.templates if templates == "evaluation" else openai_templates()
    return zero_shot_head(model, build_tokenizer(architecture), data.classnames, prompts), preprocessing(model)


def openai_templates() -> tuple[str, ...]:
    """Return the 80 prompt templates of OpenAI's zero-shot ImageNet (2103.00020), with `{c}` for the class."""
    return tuple(template("{c}") for template in open_clip().OPENAI_IMAGENET_TEMPLATES)
