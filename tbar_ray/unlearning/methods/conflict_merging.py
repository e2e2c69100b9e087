"""Merging with a conflict model trained on little clean data."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from tbar_ray.unlearning.base import Strength
from tbar_ray.unlearning.methods.clean_finetuning import CleanFineTuning


class ConflictMerging(CleanFineTuning):
    """θ_b + α·(θ_c − θ_b): the infected model merged with a model trained on conflicting evidence.

    'Neutralizing backdoors through information conflicts' trains a LoRA on little clean data and merges it into a
    language model. Here the conflict model θ_c is the infected model fine-tuned on few clean pairs at a high rate.
    α is the weight of the merge, chosen on validation images; weights above 1 extrapolate.
    """

    name: ClassVar[str] = "conflict-merging"
    strength: ClassVar[Strength] = "interpolation"

    steps: int = Field(default=100, ge=1, description="optimiser steps")
    learning_rate: float = Field(default=1e-4, gt=0, description="peak learning rate")
