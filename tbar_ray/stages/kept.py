"""The cache of a worker process between stages: models, heads, decoded and stamped images.

Trials of a campaign share most of what they read, and a process runs many of their stages, one after the other.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import fields, is_dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn

from tbar_ray.data.cache import bytes_set

if TYPE_CHECKING:
    from tbar_ray.stages.models import ModelNode
    from tbar_ray.store.store import Store

ItemT = TypeVar("ItemT")
LIMIT = "TBAR_KEEP_GB"
DEFAULT_GB = 1.0
MOST = 256
"""Items: what holds no tensors (an opened evaluation set) takes memory too."""


class Kept:
    """A cache by key. The least recently used items are removed once all take more than `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._bytes = 0

    def get(self, key: Hashable, make: Callable[[], ItemT]) -> ItemT:
        """The item of a key; it is made if it is not in the cache. Its tensors must not be written to."""
        if key in self._items:
            self._items.move_to_end(key)
            found: ItemT = self._items[key][0]
            return found
        item = make()
        self._items[key] = item, bytes_of(item)
        self._bytes += self._items[key][1]
        while len(self._items) > MOST or self._bytes > self._limit:
            _, (_, freed) = self._items.popitem(last=False)
            self._bytes -= freed
        return item


class KeptModel:
    """A loaded model and a copy of its weights: a stage may move or train it, the next one gets it as it was loaded."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self._modules, self._parameters = list(model.modules()), list(model.parameters())
        self._live = list(model.state_dict().values())  # which share their memory with the model
        self.start = [value.clone() for value in self._live]

    def as_loaded(self) -> nn.Module:
        """The same module with the weights and flags of a freshly loaded one, in evaluation mode."""
        with torch.no_grad():
            torch._foreach_copy_(self._live, self.start)
        for parameter in self._parameters:
            parameter.requires_grad_(True)
            parameter.grad = None
        if any(module.training for module in self._modules):
            self.model.eval()
        return self.model


def bytes_of(item: Any) -> int:
    """Bytes of the tensors in an item: a tensor, a model, a dataclass or a sequence of such; else 0."""
    if isinstance(item, Tensor):
        return int(item.nbytes)
    if isinstance(item, KeptModel):
        return 2 * bytes_of(item.start)
    if is_dataclass(item):
        return sum(bytes_of(getattr(item, field.name)) for field in fields(item))
    return sum(map(bytes_of, item)) if isinstance(item, list | tuple) else 0


@cache
def kept() -> Kept:
    """The cache of this process."""
    return Kept(kept_limit())


def kept_model(node: ModelNode, store: Store, device: torch.device) -> nn.Module:
    """A model as it was loaded, in evaluation mode; from the store if it is not in this process's cache.

    For stages that put it back or are its last user: the next call returns the same module.
    """
    key = ("model", node.fingerprint, str(device))
    return kept().get(key, lambda: KeptModel(node.load(store, device))).as_loaded()


def kept_limit() -> int:
    """Size of the cache in bytes: `$TBAR_KEEP_GB`, 1 GB unless set.

    Raises:
        SpecError: if it is not a positive number.
    """
    return bytes_set(LIMIT, DEFAULT_GB)
