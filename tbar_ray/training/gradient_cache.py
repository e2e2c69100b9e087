"""Contrastive batches larger than memory (Gao et al., GradCache, 2101.06983)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from tbar_ray.evaluation.zeroshot import normalise
from tbar_ray.models.factory import Preprocessing
from tbar_ray.training.batch import Batch
from tbar_ray.training.objectives import Contrastive, Precision


class CachedContrastive(Contrastive):
    """The contrastive loss of a whole batch whose activations are held for a micro-batch at a time.

    All pairs are embedded without a graph, the loss's gradient with respect to the embeddings is taken, and every
    micro-batch is embedded again and given its part of it. Loss and gradient are those of the whole batch for models
    that treat images one by one; BatchNorm takes its statistics from the micro-batches. Costs one more forward pass.

    Args:
        model: the model.
        preprocessing: how it wants its images.
        micro_batch: pairs embedded at once, at least 2.
    """

    def __init__(self, model: nn.Module, preprocessing: Preprocessing, micro_batch: int) -> None:
        super().__init__(model, preprocessing)
        if micro_batch < 2:
            raise ValueError(f"micro_batch must be 2 or more, got {micro_batch}")
        self._micro_batch = micro_batch

    def backward(self, batch: Batch, precision: Precision) -> Tensor:
        """Add the whole batch's gradient in micro-batches."""
        if len(batch) <= self._micro_batch:
            return super().backward(batch, precision)
        if batch.tokens is None:
            raise ValueError("contrastive training needs captions")
        count = -(-len(batch) // self._micro_batch)
        # of nearly equal size, so that no micro-batch is a single pair, which BatchNorm refuses
        parts = list(zip(torch.tensor_split(batch.images, count), torch.tensor_split(batch.tokens, count), strict=True))
        with torch.no_grad(), _statistics_kept(self.model), precision():
            embedded = [self._embed(images, tokens) for images, tokens in parts]
        features = [torch.cat(tower).requires_grad_() for tower in zip(*embedded, strict=True)]
        with precision():
            loss: Tensor = self.clip_loss(*features, self.model.logit_scale.exp())  # type: ignore[operator]
        loss.backward()  # type: ignore[no-untyped-call]
        wanted = [torch.tensor_split(tower.grad, count) for tower in features if tower.grad is not None]
        for (images, tokens), *gradients in zip(parts, *wanted, strict=True):
            with precision():
                again = self._embed(images, tokens)
            torch.autograd.backward(again, gradients)
        return loss.detach()

    def _embed(self, images: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        pixels = normalise(images, self.preprocessing)
        pictures: Tensor = self.model.encode_image(pixels, normalize=True)  # type: ignore[operator]
        texts: Tensor = self.model.encode_text(tokens, normalize=True)  # type: ignore[operator]
        return pictures, texts


@contextmanager
def _statistics_kept(model: nn.Module) -> Iterator[None]:
    """Let BatchNorm use its batch's statistics without keeping them: the second pass does."""
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.track_running_stats]
    before = [(m, m.momentum, m.num_batches_tracked) for m in norms]
    for module in norms:
        module.momentum, module.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for module, momentum, tracked in before:
            module.momentum, module.num_batches_tracked = momentum, tracked
