"""What a search for a trigger is given: a model, clean images and, where there is a text tower, the classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional

from tbar_ray.errors import DataError
from tbar_ray.models.factory import Preprocessing
from tbar_ray.models.modes import evaluating
from tbar_ray.seeding import torch_generator

LEAST_IMAGES = 32
"""Clean images below which a universal perturbation fits the images and not the model."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A model that is searched for a trigger. Its weights are never changed.

    Attributes:
        model: the CLIP model, or anything with its `encode_image`.
        preprocessing: size and normalisation of its input images.
        images: clean images, uint8 [N, 3, H, W]; labels are not known.
        head: unit class embeddings, float [C, D]; None where there is no text tower.
        names: class names, C of them; () without a head.
    """

    model: nn.Module
    preprocessing: Preprocessing
    images: Tensor
    head: Tensor | None = None
    names: Sequence[str] = ()

    def __post_init__(self) -> None:
        """Check the images.

        Raises:
            DataError: if they are too few, or not uint8 of the model's size.
        """
        side = self.preprocessing.size
        if self.images.dtype != torch.uint8 or tuple(self.images.shape[1:]) != (3, side, side):
            raise DataError(
                f"a search for a trigger needs uint8 images [N, 3, {side}, {side}], got {self.images.dtype} "
                f"{list(self.images.shape)}; resize them to the model's size"
            )
        if len(self.images) < LEAST_IMAGES:
            raise DataError(
                f"a search for a trigger needs {LEAST_IMAGES} clean images or more, got {len(self.images)}; give more"
            )

    @property
    def device(self) -> torch.device:
        """The device that holds the model."""
        return next(self.model.parameters()).device

    @property
    def classes(self) -> Tensor:
        """The head [C, D], on the model's device; only for searches that need classes."""
        if self.head is None:
            raise DataError("this search needs class embeddings, and the checkpoint has no text tower: see text_from")
        return self.head.to(self.device)

    @cached_property
    def normalisation(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of every channel, [1, 3, 1, 1] each."""
        mean, std = self.preprocessing.mean, self.preprocessing.std
        return tuple(torch.tensor(values, device=self.device).view(1, 3, 1, 1) for values in (mean, std))  # type: ignore[return-value]

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Keep the model in evaluation mode without gradients of its weights, and put both back afterwards."""
        wanted = [each for each in self.model.parameters() if each.requires_grad]
        self.model.requires_grad_(False)
        try:
            with evaluating(self.model):
                yield
        finally:
            for each in wanted:
                each.requires_grad_(True)

    def embed(self, images: Tensor) -> Tensor:
        """Unit embeddings [B, D] of float images [B, 3, H, W] in [0, 1]; gradients flow back to the images."""
        mean, std = self.normalisation
        pixels = ((images - mean) / std).contiguous(memory_format=torch.channels_last)
        found: Tensor = self.model.encode_image(pixels)  # type: ignore[operator]
        return functional.normalize(found.float(), dim=-1)

    def halves(self, seed: int) -> tuple[Tensor, Tensor]:
        """The images as floats in [0, 1], in two parts: to search on (three quarters), and to judge the result on.

        The parts depend on `seed` alone.
        """
        order = torch.randperm(len(self.images), generator=torch_generator(seed, "images of an inversion"))
        cut = 3 * len(order) // 4
        floats = self.images[order].to(torch.float32).div_(255).to(self.device)
        return floats[:cut], floats[cut:]


def draws(count: int, size: int, seed: int, *purpose: str) -> Iterator[Tensor]:
    """Rows of endless batches of `size` from `count` images: every image once before any comes again."""
    generator = torch_generator(seed, *purpose)
    kept = torch.empty(0, dtype=torch.int64)
    while True:
        while len(kept) < size:
            kept = torch.cat((kept, torch.randperm(count, generator=generator)))
        rows, kept = kept[:size], kept[size:]
        yield rows


def batches(images: Tensor, size: int, seed: int, *purpose: str) -> Iterator[Tensor]:
    """Endless batches of `size` of images [N, 3, H, W]; see `draws`."""
    return (images[rows] for rows in draws(len(images), size, seed, *purpose))


def chunks(count: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` rows, and of one at least, that cover `count` rows."""
    size = max(1, size)
    for start in range(0, count, size):
        yield slice(start, start + size)
