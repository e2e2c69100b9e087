"""Neural Cleanse: the smallest patch of every class that leads all images to it (Wang et al., S&P 2019)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from tbar_ray.inversion.base import Inversion, Inverter, Losses, Progress, silent
from tbar_ray.inversion.mask_size import Smallest
from tbar_ray.inversion.outlier import Outlier
from tbar_ray.inversion.side_by_side import SideBySide
from tbar_ray.inversion.subject import Subject, batches
from tbar_ray.inversion.tanh_space import uniform, unit
from tbar_ray.triggers.proxy import Proxy

LEAST_SPREAD = 0.05
"""Of natural logarithms of sizes."""


class NeuralCleanse(Inverter):
    """Mask and pattern of every class under which images are answered with it, with the least mask.

    Minimises cross-entropy + weight·‖mask‖₁ by Adam (0.1, betas 0.5 and 0.9), where the weight rises while the class is
    reached and falls while it is not. Coarse: all classes side by side, with masks of a few cells. Fine: the classes of
    the smallest masks, pixel by pixel, from where the coarse search ended. The original searches every class pixel by
    pixel, for up to 1,000 passes over 1,000 images.

    The score is the anomaly index: how far the logarithm of the smallest mask's L1 norm lies below the median of all
    classes, in median absolute deviations made consistent with a normal distribution. The original takes the norms
    themselves, of which a skewed distribution has few small outliers.
    """

    name: ClassVar[str] = "neural-cleanse"
    needs_classes: ClassVar[bool] = True
    measures: ClassVar[str] = "anomaly index of the smallest mask; paper: infected above 2"

    cells: int = Field(default=16, ge=1, description="cells of a coarse mask along a side, at most the image's pixels")
    steps: int = Field(default=60, ge=1, description="coarse steps, of all classes")
    batch_size: int = Field(default=8, ge=1, description="images per class and step")
    suspects: int = Field(default=3, ge=1, description="classes of the fine search")
    refine: int = Field(default=120, ge=0, description="fine steps, of the suspects")
    rate: float = Field(default=0.1, gt=0, description="learning rate of Adam")
    at_once: int = Field(default=512, ge=1, description="stamped images in memory at once")

    def invert(self, subject: Subject, seed: int, progress: Progress = silent) -> Inversion:
        """Search all classes coarsely, then the suspects finely."""
        fitted, held = subject.halves(seed)
        every, side = torch.arange(len(subject.classes)), held.shape[-1]
        losses, search = Losses(progress, self.steps + self.refine), SideBySide(subject, stamp, self.at_once)
        few, many = (batches(fitted, self.batch_size * times, seed, f"{self.name} order") for times in (1, 4))
        with subject.frozen():
            cells = min(self.cells, side)
            shapes = ((1, cells, cells), (3, side, side))
            start = [uniform(seed, f"{self.name} {shape[0]}", len(every), shape).to(subject.device) for shape in shapes]
            coarse = self._search(search, few, start, every, self.steps, losses)
            sizes = size(coarse.parts, side)
            suspects = sizes.argsort()[: self.suspects].cpu()
            finest = [_enlarged(coarse.parts[0][suspects], side), coarse.parts[1][suspects]]
            fine = self._search(search, many, finest, suspects, self.refine, losses)
            judged = search.judge(held, fine.parts, suspects)
        least = int(size(fine.parts, side).argmin())
        best = Outlier.of(-sizes.log().cpu(), LEAST_SPREAD)
        mask, pattern = (part[least] for part in (_mask(fine.parts[0], side), unit(fine.parts[1])))
        return Inversion(
            Proxy.of(keep=1 - mask, added=mask * pattern),
            best.anomaly_index,
            int(suspects[least]),
            tuple((-sizes.log()).tolist()),
            losses.steps,
            self.batch_size * (len(every) * self.steps + 4 * len(suspects) * self.refine),
            losses.kept(),
            {
                "size": float(size(fine.parts, side)[least]),
                "coarse size": float(sizes.min()),
                "median coarse size": float(sizes.median()),
                "rate": float(judged.rates[least]),
                "margin": float(judged.margins[least]),
                "suspects": suspects.tolist(),
                "reached": int(coarse.sizes.isfinite().sum()),
            },
        )

    def _search(
        self,
        search: SideBySide,
        images: Iterator[Tensor],
        start: Sequence[Tensor],
        targets: Tensor,
        steps: int,
        losses: Losses,
    ) -> Smallest:
        """The smallest masks towards classes [K]."""
        parts = [part.detach().clone().requires_grad_(True) for part in start]
        optimizer = torch.optim.Adam(parts, lr=self.rate, betas=(0.5, 0.9))
        smallest = Smallest(parts)
        for _, batch in zip(range(steps), images, strict=False):
            optimizer.zero_grad(set_to_none=True)
            answers = search.backward(batch, parts, targets)
            sizes = size(parts, batch.shape[-1])
            (smallest.weights * sizes).sum().backward()  # type: ignore[no-untyped-call]
            smallest.tell(answers.rates, sizes.detach(), parts)
            optimizer.step()
            losses.tell(float(answers.losses.mean()))
        return smallest


def stamp(images: Tensor, parts: Sequence[Tensor]) -> Tensor:
    """Images [B, 3, H, W] under masks and patterns, given by unbounded parameters [K, 1, g, g] and [K, 3, H, W]."""
    mask, pattern = _mask(parts[0], images.shape[-1]), unit(parts[1])
    return (1 - mask[:, None]) * images[None] + (mask * pattern)[:, None]


def size(parts: Sequence[Tensor], side: int) -> Tensor:
    """L1 norms of the masks [K], in pixels of an image of a side."""
    return _mask(parts[0], side).sum((1, 2, 3))


def _mask(values: Tensor, side: int) -> Tensor:
    """Masks [K, 1, H, W] of the parameters of cells [K, 1, g, g]."""
    return _enlarged(unit(values), side)


def _enlarged(cells: Tensor, side: int) -> Tensor:
    """Cells [K, 1, g, g] as blocks of pixels [K, 1, side, side]."""
    return cells if cells.shape[-1] == side else functional.interpolate(cells, size=(side, side), mode="nearest")
