"""Hyper-parameters of a training, as data without torch, so that specs can be checked quickly."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Precision = Literal["auto", "fp32", "bf16"]


class Optimisation(BaseModel):
    """Hyper-parameters of a fine-tuning, with the defaults of CLIP's poisoning literature."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    learning_rate: float = Field(gt=0, description="peak learning rate")
    weight_decay: float = Field(default=0.1, ge=0, description="AdamW's; norms, biases and logit_scale have none")
    beta1: float = Field(default=0.9, ge=0, lt=1, description="AdamW's decay of the mean gradient")
    beta2: float = Field(default=0.98, ge=0, lt=1, description="AdamW's decay of the mean squared gradient")
    warmup_steps: int = Field(default=0, ge=0, description="steps of linear warm-up")
    schedule: Literal["cosine", "constant"] = Field(default="cosine", description="learning rate after the warm-up")
    clip_norm: float | None = Field(default=1.0, gt=0, description="largest gradient norm; null: no clipping")
    precision: Precision = Field(default="auto", description="auto: bf16 autocast where the GPU has it, else fp32")
    layout: Literal["auto", "contiguous", "channels-last"] = Field(
        default="auto", description="memory layout of convolutions; auto: channels-last"
    )
    compile: bool = Field(
        default=False, description="compile the image encoder: takes a minute, pays in long trainings"
    )


class Augmentation(BaseModel):
    """Random augmentation of the training images, on the training device and after stamping."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    crop: tuple[float, float] = Field(
        default=(0.9, 1.0), description="smallest and largest share of an image's area kept by a random square crop"
    )
    mirror: float = Field(default=0.0, ge=0, le=1, description="share of images mirrored left to right")

    @model_validator(mode="after")
    def _ordered(self) -> Augmentation:
        if not 0 < self.crop[0] <= self.crop[1] <= 1:
            raise ValueError(f"crop: {list(self.crop)} is not 0 < least ≤ largest ≤ 1")
        return self
