"""Training objectives: which parameters are trained, and the loss of a batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn
from torch.nn import functional

from tbar_ray.evaluation.zeroshot import normalise
from tbar_ray.models.factory import Preprocessing
from tbar_ray.models.library import open_clip
from tbar_ray.models.texts import encode_texts
from tbar_ray.training.batch import Batch
from tbar_ray.training.workers import ALONE, Workers

Precision = Callable[[], AbstractContextManager[object]]
"""Creates the autocast context of a forward pass."""
KNOWN_TEXTS = 1 << 16
"""Maximum number of captions whose frozen text features are cached, at most about 2 KB each."""


class Objective(ABC):
    """A loss over a model, and the parameters that it trains.

    Attributes:
        step: the training step (from 0), for the objective's own random draws.
        workers: the processes among which every batch is divided.
    """

    def __init__(self, model: nn.Module, preprocessing: Preprocessing) -> None:
        self.model = model
        self.preprocessing = preprocessing
        self.step = 0
        self.workers: Workers = ALONE

    def at(self, step: int) -> None:
        """Set the coming step (from 0); called by the training loop."""
        self.step = step

    def among(self, workers: Workers) -> None:
        """Set the processes among which every batch is divided; called by the training loop."""
        self.workers = workers

    def named_parameters(self) -> dict[str, nn.Parameter]:
        """Trained parameters by their names in the model."""
        return dict(self.model.named_parameters())

    @abstractmethod
    def loss(self, batch: Batch) -> Tensor:
        """Mean loss (scalar, with graph) of a batch on the model's device.

        Of a share of a batch, the mean over all workers is the loss of the whole batch, and so is its gradient.
        """

    def backward(self, batch: Batch, precision: Precision) -> Tensor:
        """Backpropagate the loss of a batch, adding to the gradients; returns the detached loss."""
        with precision():
            loss = self.loss(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()


class Contrastive(Objective):
    """CLIP's symmetric InfoNCE over image–caption pairs (Radford et al., 2103.00020).

    Trains both towers, or with `image_only` the image encoder against a frozen text tower (Zhai et al.,
    2111.07991), so that an existing zero-shot head stays valid; each caption is then embedded only once.
    """

    def __init__(self, model: nn.Module, preprocessing: Preprocessing, *, image_only: bool = False) -> None:
        super().__init__(model, preprocessing)
        self.clip_loss = open_clip().ClipLoss()
        self._image_only = image_only
        self._known: dict[bytes, Tensor] = {}

    def named_parameters(self) -> dict[str, nn.Parameter]:
        """Trained parameters by name: of the image encoder if `image_only`, else all."""
        return image_parameters(self.model) if self._image_only else super().named_parameters()

    def loss(self, batch: Batch) -> Tensor:
        """open_clip's ClipLoss of the batch; needs captions."""
        if batch.tokens is None:
            raise ValueError("contrastive training needs captions")
        images = normalise(batch.images, self.preprocessing)
        image_features = self.model.encode_image(images, normalize=True)  # type: ignore[operator]
        encode = self._frozen_text if self._image_only else self._text
        scale = self.model.logit_scale.exp()  # type: ignore[operator]
        towers = (self.workers.gathered(tower, batch) for tower in (image_features, encode(batch.tokens)))
        loss: Tensor = self.clip_loss(*towers, scale)
        return loss

    def _text(self, tokens: Tensor) -> Tensor:
        features: Tensor = encode_texts(self.model, tokens)
        return features

    @torch.no_grad()
    def _frozen_text(self, tokens: Tensor) -> Tensor:
        """Features [B, D] of captions; each distinct caption is embedded at its first occurrence and cached."""
        rows = [row.tobytes() for row in tokens.cpu().numpy()]
        if new := [place for row, place in {row: i for i, row in enumerate(rows)}.items() if row not in self._known]:
            if len(self._known) + len(new) > KNOWN_TEXTS:
                return self._text(tokens)
            self._known |= zip((rows[place] for place in new), self._text(tokens[new]), strict=True)
        return torch.stack([self._known[row] for row in rows])


class Classification(Objective):
    """Cross-entropy against a frozen zero-shot head; only the image encoder is trained.

    The recipe of task vectors on CLIP (Ilharco et al., 2212.04089; Ortiz-Jimenez et al., 2305.12827).
    """

    def __init__(self, model: nn.Module, preprocessing: Preprocessing, head: Tensor) -> None:
        super().__init__(model, preprocessing)
        self._head = head.detach()
        self._scale = model.logit_scale.detach().exp().clone()  # type: ignore[operator]

    def named_parameters(self) -> dict[str, nn.Parameter]:
        """Parameters of the image encoder by name."""
        return image_parameters(self.model)

    def loss(self, batch: Batch) -> Tensor:
        """Mean cross-entropy of the logits scale·⟨image, class⟩; needs labels."""
        if batch.labels is None:
            raise ValueError("classification needs labels")
        images = normalise(batch.images, self.preprocessing)
        features = self.model.encode_image(images, normalize=True)  # type: ignore[operator]
        own = functional.cross_entropy(self._scale * features @ self._head.T, batch.labels)
        return own * self.workers.weight(batch) if batch.shares else own


def image_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Parameters of a CLIP model's image encoder, by their names in the whole model."""
    return {f"visual.{name}": p for name, p in model.visual.named_parameters()}  # type: ignore[union-attr]
