"""Device-specific speed: memory layout, compilation and prefetching of batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from tbar_ray.training.batch import Batch
from tbar_ray.training.options import Optimisation


@contextmanager
def laid_out(model: nn.Module, options: Optimisation) -> Iterator[None]:
    """Set the memory layout of the weights, and compile the image encoder, for the duration of a training.

    Models are channels-last (`create_model`); `auto` keeps that, and it is restored afterwards. Tensor cores of GPUs
    prefer it; for a CPU, run `tbar bench choices` to measure it.
    """
    contiguous = options.layout == "contiguous"
    if contiguous:
        model.to(memory_format=torch.contiguous_format)
    encoder = getattr(model, "visual", None)
    compiled = encoder if options.compile and isinstance(encoder, nn.Module) else None
    if compiled is not None:
        compiled.compile()  # in place: parameter names do not change
    try:
        yield
    finally:
        if compiled is not None:
            compiled._compiled_call_impl = None
        if contiguous:
            model.to(memory_format=torch.channels_last)


def on_device(batches: Iterable[Batch], device: torch.device) -> Iterator[Batch]:
    """Yield the batches on a device.

    For a GPU, one batch is copied ahead from pinned memory, concurrently with computation, so that a step does not wait
    for its images.
    """
    if device.type != "cuda":
        yield from (batch.to(device) for batch in batches)
        return
    side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    ahead: tuple[Batch, Batch] | None = None
    for batch in batches:
        pinned = batch.map(lambda tensor: tensor if tensor.is_cuda else tensor.pin_memory())
        with torch.cuda.stream(side):
            copied = pinned.to(device)
        if ahead is not None:
            yield _arrived(ahead[0], side, device)
        ahead = copied, pinned  # keeps the pinned memory alive until its copy has been used
    if ahead is not None:
        yield _arrived(ahead[0], side, device)


def _arrived(batch: Batch, side: torch.cuda.Stream, device: torch.device) -> Batch:
    """Make the current stream wait for the copies, and keep their memory from being reused too early."""
    current = torch.cuda.current_stream(device)
    current.wait_stream(side)

    def claimed(tensor: torch.Tensor) -> torch.Tensor:
        tensor.record_stream(current)
        return tensor

    return batch.map(claimed)
