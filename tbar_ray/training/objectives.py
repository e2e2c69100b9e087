"""Training objectives: what is trained, and its loss on a batch."""

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
from tbar_ray.training.batch import Batch

Precision = Callable[[], AbstractContextManager[object]]
"""Makes the context in which forward passes run."""
KNOWN_TEXTS = 1 << 16
"""Captions whose features a frozen text tower keeps, about 2 KB each at most."""


class Objective(ABC):
    """A loss over a model, and the parameters that it trains.

    Attributes:
        step: the training step (from 0), for draws of the objective's own.
    """

    def __init__(self, model: nn.Module, preprocessing: Preprocessing) -> None:
        self.model = model
        self.preprocessing = preprocessing
        self.step = 0

    def at(self, step: int) -> None:
        """Say which step (from 0) comes next; the training loop does."""
        self.step = step

    def named_parameters(self) -> dict[str, nn.Parameter]:
        """Return the trained parameters by name."""
        return dict(self.model.named_parameters())

    @abstractmethod
    def loss(self, batch: Batch) -> Tensor:
        """Return the mean loss of a batch that is on the model's device."""

    def backward(self, batch: Batch, precision: Precision) -> Tensor:
        """Add the loss's gradient to the parameters', and return the loss without its graph."""
        with precision():
            loss = self.loss(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()


class Contrastive(Objective):
    """CLIP's symmetric InfoNCE over image–caption pairs (Radford et al., 2103.00020).

    Both towers are trained, or with `image_only` the image encoder against a frozen text tower (Zhai et al.,
    2111.07991), so that a zero-shot head made before stays valid; a caption is then embedded once.
    """

    def __init__(self, model: nn.Module, preprocessing: Preprocessing, *, image_only: bool = False) -> None:
        super().__init__(model, preprocessing)
        self.clip_loss = open_clip().ClipLoss()
        self._image_only = image_only
        self._known: dict[bytes, Tensor] = {}

    def named_parameters(self) -> dict[str, nn.Parameter]:
        """Return the trained parameters by name."""
        return image_parameters(self.model) if self._image_only else super().named_parameters()

    def loss(self, batch: Batch) -> Tensor:
        """Return open_clip's ClipLoss of the batch."""
        if batch.tokens is None:
            raise ValueError("contrastive training needs captions")
        images = normalise(batch.images, self.preprocessing)
        image_features = self.model.encode_image(images, normalize=True)  # type: ignore[operator]
        encode = self._frozen_text if self._image_only else self._text
        scale = self.model.logit_scale.exp()  # type: ignore[operator]
        loss: Tensor = self.clip_loss(image_features, encode(batch.tokens), scale)
        return loss

    def _text(self, tokens: Tensor) -> Tensor:
        features: Tensor = self.model.encode_text(tokens, normalize=True)  # type: ignore[operator]
        return features

    @torch.no_grad()
    def _frozen_text(self, tokens: Tensor) -> Tensor:
        """Return the features [B, D] of captions, each distinct one embedded when it is first seen."""
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
        """Return the image encoder's parameters."""
        return image_parameters(self.model)

    def loss(self, batch: Batch) -> Tensor:
        """Return the cross-entropy of logits scale·⟨image, class⟩."""
        if batch.labels is None:
            raise ValueError("classification needs labels")
        images = normalise(batch.images, self.preprocessing)
        features = self.model.encode_image(images, normalize=True)  # type: ignore[operator]
        return functional.cross_entropy(self._scale * features @ self._head.T, batch.labels)


def image_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters of a CLIP model's image encoder by their names in the model."""
    return {f"visual.{name}": p for name, p in model.visual.named_parameters()}  # type: ignore[union-attr]
