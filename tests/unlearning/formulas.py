"""The formulas of the losses in numpy, from embeddings that a model gives."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tbar_ray.evaluation.zeroshot import normalise
from tbar_ray.models.factory import preprocessing
from tbar_ray.models.task_vector import TaskVector
from tbar_ray.training.batch import Batch
from tbar_ray.training.objectives import Objective
from tbar_ray.unlearning.base import Infected
from tests.models.tiny import snapshot, tiny
from tests.unlearning.planted import defender

Rows = np.ndarray
CLOSE = {"rel": 2e-4, "abs": 2e-4}


def infected_of(architecture: str) -> Infected:
    """Return a model that nobody trained, with a defender's data."""
    model = tiny(architecture).eval()
    return Infected(model, snapshot(model), defender(model), preprocessing(model), 0)


def nudge(infected: Infected, size: float = 0.01) -> None:
    """Move the weights, so that the model differs from the infected one that an objective has copied."""
    draw = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in infected.model.parameters():
            if parameter.ndim > 1:
                parameter.add_(size * torch.randn(parameter.shape, generator=draw))


@torch.no_grad()
def image_rows(infected: Infected, images: Tensor) -> Rows:
    found = infected.model.encode_image(normalise(images, infected.preprocessing)).double().numpy()
    return found / np.linalg.norm(found, axis=1, keepdims=True)


@torch.no_grad()
def text_rows(infected: Infected, tokens: Tensor) -> Rows:
    found = infected.model.encode_text(tokens).double().numpy()
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def scale_of(infected: Infected) -> float:
    return float(infected.model.logit_scale.detach().exp())


def log_softmax(rows: Rows) -> Rows:
    shifted = rows - rows.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def info_nce_of_rows(left: Rows, right: Rows, scale: float) -> float:
    logits = scale * left @ right.T
    return -(np.diag(log_softmax(logits)).mean() + np.diag(log_softmax(logits.T)).mean()) / 2


def matching_of_rows(left: Rows, right: Rows, scale: float) -> float:
    return -float(np.diag(log_softmax(scale * left @ right.T)).mean())


def chances_of(infected: Infected, images: Tensor) -> Rows:
    return log_softmax(scale_of(infected) * image_rows(infected, images) @ infected.classes.head.double().numpy().T)


def value(objective: Objective, batch: Batch) -> float:
    return float(objective.loss(batch).detach())


def first(batches: object) -> Batch:
    return next(iter(batches))  # type: ignore[call-overload, no-any-return]


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def vector(**tensors: Tensor) -> TaskVector:
    return TaskVector(tensors)
