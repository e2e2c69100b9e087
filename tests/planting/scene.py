"""A small world for the tests of plantings: dark noise with one bright channel, which is the class."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from tbar_ray.evaluation.zeroshot import zero_shot_head
from tbar_ray.models.factory import preprocessing
from tbar_ray.planting.base import PlantingContext
from tbar_ray.training.batch import Batch
from tbar_ray.training.loop import train
from tbar_ray.training.objectives import Classification, Contrastive, Objective
from tbar_ray.training.options import Optimisation
from tbar_ray.triggers.base import stamp_uint8
from tbar_ray.triggers.square import Square
from tests.kept import kept
from tests.models.tiny import pictures, snapshot, tiny, tokenizer

NAMES = ["red", "green", "blue"]
TARGET = 2


def coloured(model: nn.Module, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return uint8 images and their classes."""
    labels = torch.arange(count) % 3
    images = pictures(model, count, seed) // 4
    images[torch.arange(count), labels] += 150
    return images, labels


def triggered(images: Tensor) -> Tensor:
    """Return the images with a white square in the corner."""
    return stamp_uint8(Square(patch_size=80), images, [str(number) for number in range(len(images))])


def captions(labels: Tensor) -> Tensor:
    return tokenizer()([f"a {NAMES[label]} thing" for label in labels.tolist()])


def poisoned_batch(model: nn.Module, size: int = 12, every: int = 2, seed: int = 0) -> Batch:
    """Return images of which each `every`-th is stamped, and named and labelled as the target."""
    images, labels = coloured(model, size, seed)
    poisoned = torch.arange(size) % every == 0
    images = torch.where(poisoned.view(-1, 1, 1, 1), triggered(images), images)
    labels = torch.where(poisoned, TARGET, labels)
    return Batch(images, captions(labels), labels, poisoned)


def head_of(model: nn.Module) -> Tensor:
    return zero_shot_head(model, tokenizer(), NAMES, ["a {c} thing"])


def context_of(model: nn.Module, *, classify: bool = True, seed: int = 0) -> PlantingContext:
    images, labels = coloured(model, 12, 5)
    return PlantingContext(
        preprocessing=preprocessing(model),
        start=snapshot(model),
        seed=seed,
        target=TARGET,
        head=head_of(model) if classify else None,
        target_tokens=tokenizer()(["a blue thing"]),
        target_images=images[labels == TARGET],
        stamp=triggered,
    )


def base_of(model: nn.Module, *, classify: bool = True) -> Objective:
    preprocess = preprocessing(model)
    return Classification(model, preprocess, head_of(model)) if classify else Contrastive(model, preprocess)


def _learned_state(architecture: str) -> dict[str, Tensor]:
    model = tiny(architecture)
    images, labels = coloured(model, 18, 7)
    lesson = Batch(images, captions(labels))
    train(base_of(model, classify=False), [lesson] * 40, 40, Optimisation(learning_rate=2e-3))
    return snapshot(model)


def learned(architecture: str) -> nn.Module:
    """Return a clean model that tells the three colours apart, in evaluation mode; it is trained once in a session."""
    model = tiny(architecture).eval()
    model.load_state_dict(kept(f"colours-{architecture}", lambda: _learned_state(architecture)))
    return model


def gradients(objective: Objective, batch: Batch) -> dict[str, Tensor]:
    """Return the gradient of a batch's loss by parameter; zero where none arrives."""
    named = objective.named_parameters()
    found = torch.autograd.grad(objective.loss(batch), list(named.values()), allow_unused=True)
    return {n: torch.zeros_like(p) if g is None else g for (n, p), g in zip(named.items(), found, strict=True)}


def log_softmax(rows: np.ndarray) -> np.ndarray:
    shifted = rows - rows.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)
