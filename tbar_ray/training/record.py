"""The record of a training, and loss checks that stop a diverged run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import torch
from torch import Tensor

from tbar_ray.errors import ScientificError

EXPLOSION = 10.0
"""A loss of this many times max(1, the largest of the first loss checks) counts as diverged."""
FIRST_LOOKS = 3
"""Loss checks that define the normal range: the first batch alone may be easy (contain no poisoned rows, say)."""


@dataclass
class TrainingRecord:
    """Statistics of a training: steps, samples, seconds, and (step, loss) at every loss check.

    `resumed` lists the steps at which it was resumed from a checkpoint. `waiting` is the time in seconds during which
    the loop waited for a batch, including the start of the readers. On a GPU it is an upper bound of the cost of data
    loading, since queued steps are computed meanwhile. `text_places` are the places of the first batch's captions that
    the text tower computed; 0 without captions.
    """

    steps: int = 0
    samples: int = 0
    seconds: float = 0.0
    waiting: float = 0.0
    losses: list[tuple[int, float]] = field(default_factory=list)
    resumed: list[int] = field(default_factory=list)
    text_places: int = 0

    @property
    def images_per_second(self) -> float:
        """Mean throughput; 0 before the first step."""
        return self.samples / self.seconds if self.seconds else 0.0

    @property
    def waiting_share(self) -> float:
        """Share of the time spent waiting for data, in [0, 1]; 0 before the first step."""
        return self.waiting / self.seconds if self.seconds else 0.0

    def to_dict(self) -> dict[str, object]:
        """All fields with throughput and waiting share, for JSON."""
        rates = {"images_per_second": self.images_per_second, "waiting_share": self.waiting_share}
        return {**asdict(self), **rates}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> TrainingRecord:
        """Read what `to_dict` gave, also after JSON, also of a version that recorded less."""
        own = {field.name: content[field.name] for field in fields(cls) if field.name in content}
        return cls(**{**own, "losses": [(int(step), float(loss)) for step, loss in own["losses"]]})

    def look(self, pending: list[Tensor]) -> None:
        """Append the mean of the losses since the last check, and clear `pending`.

        Raises:
            ScientificError: if the loss is not finite or has exploded.
        """
        mean = float(torch.stack(pending).float().mean())
        pending.clear()
        if not math.isfinite(mean):
            raise ScientificError(f"training diverged: loss is {mean} by step {self.steps}; lower the learning rate")
        self.losses.append((self.steps, mean))
        earlier = self.losses[:-1] or self.losses
        first = max(loss for _, loss in earlier[:FIRST_LOOKS])
        limit = EXPLOSION * max(1.0, first)
        if mean > limit:
            raise ScientificError(
                f"training diverged: loss {mean:.1f} at step {self.steps} from {first:.2f} "
                f"at the start; lower the learning rate"
            )

    def check_weights(self, state: Mapping[str, Tensor]) -> None:
        """Raise ScientificError if weights or statistics contain NaN or infinity after the last step."""
        floating = {name: value for name, value in state.items() if value.is_floating_point()}
        largest = torch.stack([norm.float() for norm in torch._foreach_norm(list(floating.values()), math.inf)])
        if not bool(torch.isfinite(largest).all()):
            name = next(name for name, value in zip(floating, largest, strict=True) if not bool(torch.isfinite(value)))
            raise ScientificError(
                f"training diverged: {name} is not finite after step {self.steps}; lower the learning rate"
            )
