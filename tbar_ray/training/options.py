"""Hyper-parameters of a training, as data: a spec is checked without importing torch."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Precision = Literal["auto", "fp32", "bf16"]


class Optimisation(BaseModel):
    """Hyper-parameters of a fine-tuning, with the defaults of CLIP's poisoning literature."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    learning_rate: float = Field(gt=0, description="peak learning rate")
    weight_decay: float = Field(default=0.1, ge=0, description="none on norms, biases and logit_scale")
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.98, ge=0, lt=1)
    warmup_steps: int = Field(default=0, ge=0, description="steps of linear warm-up")
    schedule: Literal["cosine", "constant"] = "cosine"
    clip_norm: float | None = Field(default=1.0, gt=0, description="largest gradient norm; null: no clipping")
    precision: Precision = Field(default="auto", description="auto: bf16 autocast where the GPU has it")
