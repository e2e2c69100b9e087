"""B3D: a patch of every class found from answers alone, without gradients (Dong et al., ICCV 2021, 2103.13127)."""

from __future__ import annotations

from collections.abc import Sequence
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
from tbar_ray.seeding import torch_generator
from tbar_ray.triggers.proxy import Proxy

LEAST_SPREAD = 0.05
"""Of natural logarithms of sizes."""


class B3d(Inverter):
    """Mask and colours of every class, by natural evolution strategies: only the cosines of images are asked for.

    A patch is drawn from a distribution: every cell of the mask is on with its own probability, and every cell's colour
    is normal before it is squashed into [0, 1]. The gradient of the expected loss, cross-entropy + weight·‖mask‖₁, is
    estimated from the losses of some draws (standardised, so that their scale does not matter) and followed by
    Adam. The weight is adapted as by Neural Cleanse, and so is the score: the anomaly index of the expected size.

    The distributions are the paper's, of which no code was found. Cells of several pixels, the budget and the constants
    are this project's: the paper searches pixel by pixel. A pattern finer than a cell is not found.
    """

    name: ClassVar[str] = "b3d"
    needs_classes: ClassVar[bool] = True
    measures: ClassVar[str] = "anomaly index of the smallest mask that is found without gradients"

    cells: int = Field(default=8, ge=1, description="cells of a patch along a side, at most the image's pixels")
    steps: int = Field(default=40, ge=1, description="steps of all classes")
    samples: int = Field(default=16, ge=2, description="draws per class and step")
    batch_size: int = Field(default=4, ge=1, description="images per draw")
    rate: float = Field(default=0.2, gt=0, description="learning rate of Adam")
    spread: float = Field(default=0.5, gt=0, description="standard deviation of a colour before it is squashed")
    at_once: int = Field(default=512, ge=1, description="stamped images in memory at once")

    def invert(self, subject: Subject, seed: int, progress: Progress = silent) -> Inversion:
        """Search all classes side by side."""
        fitted, held = subject.halves(seed)
        count, side = len(subject.classes), held.shape[-1]
        cells, every = min(self.cells, side), torch.arange(count)
        generator = torch_generator(seed, "b3d draws")
        parts = [torch.zeros(count, channels, cells, cells, device=subject.device) for channels in (1, 3)]
        optimizer = torch.optim.Adam(parts, lr=self.rate)
        smallest, losses = Smallest(parts), Losses(progress, self.steps)
        search = SideBySide(subject, stamp, self.at_once)
        with subject.frozen(), torch.no_grad():
            for _, batch in zip(range(self.steps), batches(fitted, self.batch_size, seed, "b3d order"), strict=False):
                drawn = [draw.to(subject.device) for draw in self._draw(parts, generator)]
                costs, rates = self._ask(search, batch, drawn, every)
                sizes = _pixels(drawn[0], side)
                smallest.tell(rates.mean(1), sizes.mean(1), parts)
                total = costs + smallest.weights[:, None] * sizes
                for part, gradient in zip(parts, self._gradients(parts, drawn, total), strict=True):
                    part.grad = gradient
                optimizer.step()
                losses.tell(float(costs.mean()))
            found = [smallest.parts[0].sigmoid(), smallest.parts[1].sigmoid()]
            sizes = _pixels(found[0], side)
            best = Outlier.of(-sizes.log().cpu(), LEAST_SPREAD)
            mine = [part[best.index][None] for part in found]
            judged = search.judge(held, mine, every[best.index][None])
        mask, colours = (_blocks(part, side)[0] for part in mine)
        return Inversion(
            Proxy.of(keep=1 - mask, added=mask * colours),
            best.anomaly_index,
            best.index,
            tuple((-sizes.log()).tolist()),
            losses.steps,
            losses=losses.kept(),
            facts={
                "queries": self.steps * self.samples * self.batch_size * count,
                "size": float(sizes[best.index]),
                "median size": float(sizes.median()),
                "rate": float(judged.rates),
                "reached": int(smallest.sizes.isfinite().sum()),
            },
        )

    def _draw(self, parts: Sequence[Tensor], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Masks of zeros and ones [K, S, 1, g, g], and colours before they are squashed [K, S, 3, g, g]."""
        chances, colours = parts[0].sigmoid().cpu(), parts[1].cpu()
        wide = (len(chances), self.samples)
        uniform = torch.rand(*wide, *chances.shape[1:], generator=generator)
        noise = torch.randn(*wide, *colours.shape[1:], generator=generator)
        return (uniform < chances[:, None]).float(), colours[:, None] + self.spread * noise

    def _ask(
        self, search: SideBySide, images: Tensor, drawn: Sequence[Tensor], targets: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Cross-entropy and rate [K, S] of every draw towards its class [K]."""
        masks, colours = drawn[0].flatten(0, 1), drawn[1].flatten(0, 1).sigmoid()
        answers = search.ask(images, [masks, colours], targets.repeat_interleave(self.samples))
        return answers.losses.view(-1, self.samples), answers.rates.view(-1, self.samples)

    def _gradients(self, parts: Sequence[Tensor], drawn: Sequence[Tensor], losses: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients of the expected loss, by the score function of each distribution."""
        shaped = (losses - losses.mean(1, keepdim=True)) / losses.std(1, keepdim=True).clamp_min(1e-6)
        weights = shaped[:, :, None, None, None]
        masks = (weights * (drawn[0] - parts[0].sigmoid()[:, None])).mean(1)
        colours = (weights * (drawn[1] - parts[1][:, None]) / self.spread**2).mean(1)
        return masks, colours


def stamp(images: Tensor, parts: Sequence[Tensor]) -> Tensor:
    """Images [B, 3, H, W] under masks [K, 1, g, g] and colours [K, 3, g, g] in [0, 1]."""
    mask, colours = (_blocks(part, images.shape[-1]) for part in parts)
    return (1 - mask[:, None]) * images[None] + (mask * colours)[:, None]


def _blocks(cells: Tensor, side: int) -> Tensor:
    """Cells [K, c, g, g] as blocks of pixels [K, c, side, side]."""
    return functional.interpolate(cells, size=(side, side), mode="nearest")


def _pixels(masks: Tensor, side: int) -> Tensor:
    """L1 norms [...] of masks of cells [..., 1, g, g], in pixels of an image of a side."""
    return masks.sum((-3, -2, -1)) * side**2 / masks.shape[-1] ** 2
