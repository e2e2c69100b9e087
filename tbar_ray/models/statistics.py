"""Running statistics of normalisation layers: estimated anew on clean images after the weights have moved.

BatchNorm divides by a mean and a variance that were measured on the activations of earlier weights. Weights that are
edited move the activations, and the statistics stay behind. A backdoor can then look removed although it is only
masked: the same weights with statistics of their own answer the trigger as before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from tbar_ray.models.modes import evaluating

Statistics = Mapping[str, tuple[Tensor, Tensor]]
"""Running mean and variance [C] of every layer that has them, by the layer's name."""

_Norm = nn.modules.batchnorm._NormBase


def has_statistics(model: nn.Module) -> bool:
    """Whether the image encoder has a layer with running statistics: BatchNorm, or InstanceNorm that tracks them."""
    return bool(_layers(model))


def estimate_statistics(model: nn.Module, batches: Iterable[Tensor]) -> Statistics:
    """Estimate the statistics that belong to the model's weights; the model is left as it was.

    The layers with running statistics normalise with each batch's own and average over batches with equal weight
    (a cumulative average, from nothing); all other modules stay in evaluation mode. No gradients.

    Args:
        model: a CLIP model; its image encoder is asked.
        batches: normalised float images [B, 3, H, W] on the model's device, of equal sizes for an exact mean.
    """
    layers = _layers(model)
    momenta = {name: layer.momentum for name, layer in layers.items()}
    before = _statistics_of(layers)
    counters = {name: layer.num_batches_tracked.clone() for name, layer in layers.items()}  # type: ignore[union-attr]
    with evaluating(model):
        try:
            for layer in layers.values():
                layer.reset_running_stats()
                layer.train()
            with torch.no_grad():
                for number, batch in enumerate(batches if layers else (), start=1):
                    for layer in layers.values():
                        layer.momentum = 1 / number  # InstanceNorm does not know None as BatchNorm does
                    model.encode_image(batch)  # type: ignore[operator]
            return _statistics_of(layers)
        finally:
            _put(layers, before)
            for name, layer in layers.items():
                layer.momentum = momenta[name]
                layer.num_batches_tracked.copy_(counters[name])  # type: ignore[union-attr]


def put_statistics(model: nn.Module, statistics: Statistics) -> None:
    """Write statistics into a model, for good; counters of batches (`num_batches_tracked`) stay."""
    _put(_layers(model), statistics)


@contextmanager
def with_statistics(model: nn.Module, statistics: Statistics) -> Iterator[nn.Module]:
    """Give a model other statistics while the context is active; its own come back bit for bit."""
    layers = _layers(model)
    before = _statistics_of(layers)
    try:
        _put(layers, statistics)
        yield model
    finally:
        _put(layers, before)


def reestimate(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Replace a model's statistics by those that belong to its weights (`estimate_statistics`)."""
    put_statistics(model, estimate_statistics(model, batches))


def _layers(model: nn.Module) -> dict[str, _Norm]:
    found = model.visual.named_modules()  # type: ignore[union-attr]
    return {name: module for name, module in found if isinstance(module, _Norm) and module.running_mean is not None}


def _statistics_of(layers: Mapping[str, _Norm]) -> Statistics:
    """Copies of the layers' statistics."""
    return {name: _copied(layer) for name, layer in layers.items()}


def _put(layers: Mapping[str, _Norm], statistics: Statistics) -> None:
    with torch.no_grad():
        for name, (mean, variance) in statistics.items():
            layers[name].running_mean.copy_(mean)  # type: ignore[union-attr]
            layers[name].running_var.copy_(variance)  # type: ignore[union-attr]


def _copied(layer: _Norm) -> tuple[Tensor, Tensor]:
    assert layer.running_mean is not None
    assert layer.running_var is not None
    return layer.running_mean.detach().clone(), layer.running_var.detach().clone()
