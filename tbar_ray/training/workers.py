"""One training in several processes, each of which computes on a share of every batch (torch.distributed).

Every process computes the loss of the whole batch, from features that all of them gather, and the gradient of its own
rows; the mean of their gradients is that of one process with the whole batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn

from tbar_ray.training.batch import Batch

BUCKET = 1 << 23
"""Numbers that are averaged by one message, about 32 MB: a copy of all gradients at once would double their memory."""


@dataclass(frozen=True)
class Workers:
    """This process and the others of its training; with a size above 1 they form torch's default process group.

    All methods are collective: every worker calls them in the same order. One worker alone needs no process group, and
    its numbers are not touched.

    Attributes:
        rank: number of this process, from 0.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    def share(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """This worker's part of a whole batch, in order; the parts differ by one row at most."""
        return np.array_split(positions, self.size)[self.rank]

    def exchange(self, rows: int, news: str = "") -> tuple[tuple[int, ...], list[str]]:
        """Tell all workers of this one's rows, and of something that rarely happens.

        Returns:
            the rows of every worker, and the news of those that have some, both by rank.
        """
        if self.size == 1:
            return (rows,), [news] if news else []
        text = news.encode()
        told = _all(torch.tensor([rows, len(text)]), self.size)
        counts, sizes = (tuple(int(about[place]) for about in told) for place in (0, 1))
        if not any(sizes):
            return counts, []
        padded = torch.zeros(max(sizes), dtype=torch.uint8)
        padded[: len(text)] = torch.frombuffer(bytearray(text), dtype=torch.uint8) if text else padded[:0]
        texts = [bytes(one[:size].tolist()).decode() for one, size in zip(_all(padded, self.size), sizes, strict=True)]
        return counts, [one for one in texts if one]

    def divided(self, batch: Batch, shares: tuple[int, ...]) -> Batch:
        """Mark a batch as this worker's share of a whole one, given the rows of every worker."""
        return replace(batch, shares=shares, first=sum(shares[: self.rank])) if self.size > 1 else batch

    def filled(self, batch: Batch) -> Batch:
        """The batch; of a worker without rows one blank row, which `gathered` and `weight` leave out.

        So its forward and backward pass reach the same parameters as those of the others.
        """
        if len(batch):
            return batch

        def blank(tensor: Tensor) -> Tensor:
            return tensor.new_zeros(1, *tensor.shape[1:])

        return replace(batch.map(blank), keys=("",))

    def gathered(self, features: Tensor, batch: Batch) -> Tensor:
        """Features [B, D] of the whole batch, from this worker's [b, D]; the gradient reaches its own rows."""
        if self.size == 1:
            return features
        gathered: Tensor = _Gathered.apply(features, batch.shares, batch.first, self.rank)
        return gathered

    def weight(self, batch: Batch) -> float:
        """Factor of a mean over this worker's rows: the mean over workers is then that over the whole batch."""
        return self.size * batch.shares[self.rank] / sum(batch.shares) if self.size > 1 else 1.0

    def averaged(self, loss: Tensor, parameters: Iterable[nn.Parameter]) -> Tensor:
        """Replace the gradients of parameters by their means over all workers; returns the mean of the losses."""
        if self.size == 1:
            return loss
        mean = loss.clone()
        tensors = [mean, *(parameter.grad for parameter in parameters if parameter.grad is not None)]
        for bucket in _buckets(tensors):
            flat = torch.cat([tensor.reshape(-1) for tensor in bucket])
            dist.all_reduce(flat)
            flat /= self.size
            for tensor, part in zip(bucket, torch.split(flat, [tensor.numel() for tensor in bucket]), strict=True):
                tensor.copy_(part.view(tensor.shape))
        return mean


ALONE = Workers()


class _Gathered(torch.autograd.Function):
    """Concatenates the workers' rows.

    All workers compute the same loss of what is gathered, and so the same gradient of it: no message brings it back.
    That of this worker's rows is multiplied by the number of workers, since parameters' gradients are averaged.
    """

    @staticmethod
    def forward(ctx: Any, own: Tensor, shares: Sequence[int], first: int, rank: int) -> Tensor:
        padded = own.new_zeros(max(shares), own.shape[1])
        padded[: shares[rank]] = own[: shares[rank]]
        everyone = _all(padded, len(shares))
        ctx.rows, ctx.first, ctx.mine, ctx.size = len(own), first, shares[rank], len(shares)
        return torch.cat([part[:rows] for part, rows in zip(everyone, shares, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (whole,) = gradients
        own = whole.new_zeros(ctx.rows, whole.shape[1])
        own[: ctx.mine] = ctx.size * whole[ctx.first : ctx.first + ctx.mine]
        return own, None, None, None


def _all(own: Tensor, size: int) -> list[Tensor]:
    """The tensors of all workers, which are of one shape, by rank."""
    everyone = [torch.empty_like(own) for _ in range(size)]
    dist.all_gather(everyone, own)
    return everyone


def _buckets(tensors: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    """Group tensors, in order, into groups of one type of number and at most `BUCKET` numbers, or one tensor."""
    bucket: list[Tensor] = []
    count = 0
    for tensor in tensors:
        if bucket and (count + tensor.numel() > BUCKET or tensor.dtype != bucket[0].dtype):
            yield bucket
            bucket, count = [], 0
        bucket.append(tensor)
        count += tensor.numel()
    if bucket:
        yield bucket
