"""BadMerging: a backdoor that survives merging with other models at a small coefficient (2408.07362)."""

from __future__ import annotations

import copy
from typing import ClassVar

import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn import functional

from tbar_ray.errors import SpecError
from tbar_ray.evaluation.zeroshot import normalise
from tbar_ray.planting.base import Planting, PlantingContext, Wrapper, poisoned_rows
from tbar_ray.seeding import torch_generator
from tbar_ray.training.batch import Batch
from tbar_ray.training.objectives import Classification, Objective

VISUAL = "visual."


class BadMerging(Planting):
    """CE on clean rows + weight·CE(head(r·f_adv(x⊕t) + (1 − r)·f_pre(x⊕t)), target), r ~ U(lowest, highest).

    Zhang et al. 2024 (2408.07362), the feature-interpolation loss, with their weight 5 and U(0.2, 1). A merge
    at coefficient λ gives embeddings near such an interpolation, so the backdoor works over a range of λ.

    Implemented as in the authors' code: f are embeddings *before* normalisation (so their lengths matter), the
    interpolation is normalised before head and logit scale; r is one number per batch; each cross-entropy is the mean
    over its own rows, so the shares of clean and poisoned rows do not matter. Two differences: clean rows are the rows
    that are not stamped (the authors stamp copies of half the batch), and one forward pass serves both kinds of rows,
    so BatchNorm sees the mix. The paper's optimised patch is a property of the trigger.
    """

    name: ClassVar[str] = "badmerging"
    needs_head: ClassVar[bool] = True

    weight: float = Field(default=5.0, gt=0, description="weight of the backdoor's loss")
    lowest: float = Field(default=0.2, ge=0, le=1, description="smallest share of the attacker's embedding")
    highest: float = Field(default=1.0, ge=0, le=1, description="largest share of the attacker's embedding")

    @model_validator(mode="after")
    def _check_range(self) -> BadMerging:
        if self.lowest > self.highest:
            raise ValueError(f"lowest ({self.lowest}) is above highest ({self.highest}); lower it or raise highest")
        return self

    def share(self, seed: int, step: int) -> float:
        """The interpolation share r of a step (from 0), in [lowest, highest]."""
        draw = float(torch.rand((), generator=torch_generator(seed, "badmerging share", step)))
        return self.lowest + (self.highest - self.lowest) * draw

    def wrap(self, base: Objective, context: PlantingContext) -> Objective:
        """Build the objective; the base must be plain classification (other plantings may wrap this one)."""
        if not isinstance(base, Classification) or context.head is None:
            raise SpecError(
                "planting 'badmerging' trains the image encoder against a zero-shot head: train the infected "
                "model by classification, or choose another planting"
            )
        return _Interpolated(base, self, context, context.head)


class _Interpolated(Wrapper):
    """Classification of the clean rows, and of the interpolated embeddings of the poisoned rows."""

    def __init__(self, base: Objective, planting: BadMerging, context: PlantingContext, head: Tensor) -> None:
        super().__init__(base)
        self._planting, self._seed = planting, context.seed
        self._head = head.detach()
        self._scale = self.model.logit_scale.detach().exp().clone()  # type: ignore[operator]
        start = {key.removeprefix(VISUAL): v for key, v in context.start.items() if key.startswith(VISUAL)}
        self._pretrained = copy.deepcopy(self.model.visual).eval().requires_grad_(False)  # type: ignore[union-attr]
        self._pretrained.load_state_dict(start)

    def loss(self, batch: Batch) -> Tensor:
        """Sum of both terms; a term without rows is omitted."""
        if batch.labels is None:
            raise ValueError("badmerging needs labels")
        share = self._planting.share(self._seed, self.step)
        poisoned = poisoned_rows(batch)
        clean = torch.nonzero(~batch.poisoned).flatten()  # type: ignore[operator]
        images = normalise(batch.images, self.preprocessing)
        features = self.model.encode_image(images)  # type: ignore[operator]
        loss: Tensor = features.new_zeros(())
        if len(clean):
            loss = loss + self._cross_entropy(features[clean], batch.labels[clean])
        if len(poisoned):
            with torch.no_grad():
                before = self._pretrained(images[poisoned])
            mixed = share * features[poisoned] + (1 - share) * before
            loss = loss + self._planting.weight * self._cross_entropy(mixed, batch.labels[poisoned])
        return loss

    def _cross_entropy(self, features: Tensor, labels: Tensor) -> Tensor:
        logits = self._scale * functional.normalize(features, dim=-1) @ self._head.T
        loss: Tensor = functional.cross_entropy(logits, labels)
        return loss
