"""Training objectives: what is trained, and its loss on a batch."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn
from torch.nn import functional

from tbar_ray.evaluation.zeroshot import normalise
from tbar_ray.models.factory import Preprocessing
from tbar_ray.models.library import open_clip
from tbar_ray.training.batch import Batch


class Objective(ABC):
    """A loss over a model, and the parameters that it trains."""

    def __init__(self, model: nn.Module, preprocessing: Preprocessing) -> None:
        self.model = model
        self.preprocessing = preprocessing

    def named_parameters(self) -> dict[str, nn.Parameter]:
        """Return the trained parameters by name."""
        return dict(self.model.named_parameters())

    @abstractmethod
    def loss(self, batch: Batch) -> Tensor:
        """Return the mean loss of a batch that is on the model's device."""


class Contrastive(Objective):
    """CLIP's symmetric InfoNCE over image–caption pairs (Radford et al., 2103.00020).

    Both towers are trained, or with `image_only` the image encoder against a frozen text tower (Zhai et al.,
    2111.07991), so that a zero-shot head made before stays valid.
    """

    def __init__(self, model: nn.Module, preprocessing: Preprocessing, *, image_only: bool = False) -> None:
        super().__init__(model, preprocessing)
        self._clip_loss = open_clip().ClipLoss()
        self._image_only = image_only

    def named_parameters(self) -> dict[str, nn.Parameter]:
        """Return the trained parameters by name."""
        return image_parameters(self.model) if self._image_only else super().named_parameters()

    def loss(self, batch: Batch) -> Tensor:
        """Return open_clip's ClipLoss of the batch."""
        if batch.tokens is None:
            raise ValueError("contrastive training needs captions")
        images = normalise(batch.images, self.preprocessing)
        image_features = self.model.encode_image(images, normalize=True)  # type: ignore[operator]
        text_features = self.model.encode_text(batch.tokens, normalize=True)  # type: ignore[operator]
        scale = self.model.logit_scale.exp()  # type: ignore[operator]
        loss: Tensor = self._clip_loss(image_features, text_features, scale)
        return loss


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
