"""What a training did, and the looks at its loss that stop one that has diverged."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor

from tbar_ray.errors import ScientificError

EXPLOSION = 10.0
"""A loss this many times the largest of the first looks (and at least this large) counts as diverged."""
FIRST_LOOKS = 3
"""Looks that say what is usual: a first batch alone may lack what makes the loss large (poisoned rows, say)."""


@dataclass
class TrainingRecord:
    """What a training did: steps, samples, seconds, and the loss at every look as (step, loss).

    `resumed` names the steps after which it went on from a checkpoint. `waiting` are the seconds in which the loop had
    no batch, from asking for one to having it, the start of its readers included. On a GPU that is an upper bound of
    what the data cost: steps that were queued before are computed meanwhile.
    """

    steps: int = 0
    samples: int = 0
    seconds: float = 0.0
    waiting: float = 0.0
    losses: list[tuple[int, float]] = field(default_factory=list)
    resumed: list[int] = field(default_factory=list)

    @property
    def images_per_second(self) -> float:
        """Return the mean throughput, 0 before the first step."""
        return self.samples / self.seconds if self.seconds else 0.0

    @property
    def waiting_share(self) -> float:
        """Return the share of the time in which the training waited for data, 0 before the first step."""
        return self.waiting / self.seconds if self.seconds else 0.0

    def to_dict(self) -> dict[str, object]:
        """Return the record for JSON."""
        rates = {"images_per_second": self.images_per_second, "waiting_share": self.waiting_share}
        return {**asdict(self), **rates}

    def look(self, pending: list[Tensor]) -> None:
        """Append the mean of the losses since the last look, which are emptied.

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
        """Stop a training whose last steps, after the last loss, left NaN or infinity in weights or statistics."""
        for name, value in state.items():
            if value.is_floating_point() and not bool(torch.isfinite(value).all()):
                raise ScientificError(
                    f"training diverged: {name} is not finite after step {self.steps}; lower the learning rate"
                )
