"""Contrastive batches larger than memory (Gao et al., GradCache, 2101.06983)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from tbar_ray.evaluation.zeroshot import normalise
from tbar_ray.models.factory import Preprocessing
from tbar_ray.models.texts import encode_texts
from tbar_ray.training.batch import Batch
from tbar_ray.training.objectives import Contrastive, Precision


class CachedContrastive(Contrastive):
    """The contrastive loss of a whole batch, holding the activations of one micro-batch at a time.

    All pairs are embedded without a graph, and the gradient of the loss with respect to the embeddings is computed.
    Then every micro-batch is embedded again and its part of the gradient is propagated. Loss and gradient equal those
    of the whole batch for models that process images independently; BatchNorm computes its statistics per micro-batch.
    The cost is one additional forward pass. Of several workers, each embeds its share in micro-batches of its own.

    Args:
        model: a CLIP model.
        preprocessing: its image preprocessing.
        micro_batch: pairs embedded at once, at least 2.
    """

    def __init__(self, model: nn.Module, preprocessing: Preprocessing, micro_batch: int) -> None:
        super().__init__(model, preprocessing)
        if micro_batch < 2:
            raise ValueError(f"micro_batch must be 2 or more, got {micro_batch}")
        self._micro_batch = micro_batch

    def backward(self, batch: Batch, precision: Precision) -> Tensor:
        """Accumulate the whole batch's gradient in micro-batches; returns the detached loss."""
        if len(batch) <= self._micro_batch:
            return super().backward(batch, precision)
        if batch.tokens is None:
            raise ValueError("contrastive training needs captions")
        count = -(-len(batch) // self._micro_batch)
        # nearly equal sizes: no micro-batch is a single pair, which BatchNorm rejects
        parts = list(zip(torch.tensor_split(batch.images, count), torch.tensor_split(batch.tokens, count), strict=True))
        with torch.no_grad(), _statistics_kept(self.model), precision():
            embedded = [self._embed(images, tokens) for images, tokens in parts]
        features = [torch.cat(tower).requires_grad_() for tower in zip(*embedded, strict=True)]
        with precision():
            towers = (self.workers.gathered(tower, batch) for tower in features)
            loss: Tensor = self.clip_loss(*towers, self.model.logit_scale.exp())  # type: ignore[operator]
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
        texts: Tensor = encode_texts(self.model, tokens)
        return pictures, texts


@contextmanager
def _statistics_kept(model: nn.Module) -> Iterator[None]:
    """Let BatchNorm use batch statistics without updating its running ones; the second pass updates them."""
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.track_running_stats]
    before = [(m, m.momentum, m.num_batches_tracked) for m in norms]
    for module in norms:
        module.momentum, module.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for module, momentum, tracked in before:
            module.momentum, module.num_batches_tracked = momentum, tracked
