"""FreeEagle: which class shows through in the middle of all others, without any data (Fu et al., USENIX Sec. 2023)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from tbar_ray.inversion.base import Inversion, Inverter, Losses, Progress, silent
from tbar_ray.inversion.subject import Subject
from tbar_ray.models.blocks import blocks_of
from tbar_ray.seeding import torch_generator

TEMPERATURE = 0.1
"""Of the cosines: wider than elsewhere, or the posteriors of all other classes would vanish."""
DECAY = 5e-3


class FreeEagle(Inverter):
    """Representations in the middle of the encoder that are answered with each class, and what else they resemble.

    For every class a dummy representation, drawn uniformly in [0, 1], is led to the class through the later part of the
    encoder by Adam with weight decay, and kept non-negative where a rectifier feeds that part. In an infected model
    the representations of all classes come near the target, since a short way leads there. The score is the original's:
    the mean posterior of every class under the dummies of all others, of which the largest lies so many interquartile
    ranges above the third quartile (backdoor_inspection_new.py in
    FuChong-cyber/Data-Free-Neural-Backdoor-Detector-FreeEagle).

    A detector: it finds no trigger, and looks at no image. The original inspects classifiers, whose logits are not
    bounded; of cosines the score depends on how far the dummies are led, and it was seen to find a patch's target and
    to miss that of a blended picture.
    """

    name: ClassVar[str] = "freeeagle"
    needs_classes: ClassVar[bool] = True
    measures: ClassVar[str] = "interquartile ranges between the most probable wrong class and the third quartile"

    depth: float = Field(default=0.3, ge=0, lt=1, description="share of the blocks that come before the later part")
    steps: int = Field(default=60, ge=1, description="optimiser steps; the original has 1,000")
    rate: float = Field(default=0.01, gt=0, description="learning rate of Adam")

    def invert(self, subject: Subject, seed: int, progress: Progress = silent) -> Inversion:
        """Optimise the dummies of all classes side by side and compare their posteriors."""
        losses, wanted = Losses(progress, self.steps), torch.arange(len(subject.classes), device=subject.device)
        blocks = list(blocks_of(subject.model, self.name).values())
        with subject.frozen(), _Middle.of(subject, blocks[int(self.depth * len(blocks))]) as middle:
            dummies = middle.draw(len(wanted), seed).requires_grad_(True)
            optimizer = torch.optim.Adam([dummies], lr=self.rate, weight_decay=DECAY)
            for _ in range(self.steps):
                optimizer.zero_grad(set_to_none=True)
                loss = functional.cross_entropy(middle.logits(dummies), wanted, reduction="sum")
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                if middle.rectified:
                    dummies.data.clamp_(min=0)
                losses.tell(float(loss.detach()) / len(wanted))
            with torch.no_grad():
                posteriors = middle.logits(dummies).softmax(1).cpu()
        posteriors.fill_diagonal_(0)
        seen = posteriors.sum(0) / max(1, len(posteriors) - 1)
        pair = int(posteriors.argmax())
        return Inversion(
            None,
            outlyingness(seen),
            int(seen.argmax()),
            tuple(seen.tolist()),
            losses.steps,
            losses=losses.kept(),
            facts={
                "posterior": float(seen.max()),
                "strongest pair": [subject.names[index] for index in divmod(pair, len(posteriors))],
                "strongest posterior": float(posteriors.max()),
            },
        )


def outlyingness(values: Tensor) -> float:
    """By how many interquartile ranges the largest of some values lies above their third quartile."""
    quartiles = values.quantile(torch.tensor([0.25, 0.75], dtype=values.dtype))
    spread = (quartiles[1] - quartiles[0]).clamp_min(1e-12)
    return float((values.max() - quartiles[1]) / spread)


class _Middle:
    """The later part of an image encoder, which begins with a block."""

    def __init__(self, subject: Subject, shape: torch.Size, rectified: bool) -> None:
        self._subject, self._shape, self.rectified = subject, shape, rectified
        side = subject.preprocessing.size
        self._blank = torch.zeros(1, 3, side, side, device=subject.device)
        self._given: Tensor | None = None

    @classmethod
    @contextmanager
    def of(cls, subject: Subject, block: nn.Module) -> Iterator[_Middle]:
        """The part from `block` on; inside the context the block takes what it is told to."""
        seen: list[Tensor] = []
        probe = block.register_forward_pre_hook(lambda _block, given: seen.append(given[0]))
        side = subject.preprocessing.size
        with torch.no_grad():
            subject.embed(torch.zeros(1, 3, side, side, device=subject.device))
        probe.remove()
        middle = cls(subject, seen[0].shape, bool((seen[0] >= 0).all()))
        hook = block.register_forward_pre_hook(lambda _block, given: (middle._given, *given[1:]))
        try:
            yield middle
        finally:
            hook.remove()

    def draw(self, count: int, seed: int) -> Tensor:
        """Representations [count, ...], uniform in [0, 1]; that of a class depends on its number and the seed alone."""
        drawn = [torch.rand(self._shape[1:], generator=torch_generator(seed, "dummy", row)) for row in range(count)]
        return torch.stack(drawn).to(self._subject.device)

    def logits(self, representations: Tensor) -> Tensor:
        """Logits [K, C] of representations [K, ...]; the earlier part runs once, on a blank image that is not used."""
        self._given = representations
        return self._subject.embed(self._blank) @ self._subject.classes.T / TEMPERATURE
