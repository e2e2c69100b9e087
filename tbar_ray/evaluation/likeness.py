"""How much a proxy trigger looks like the true one: where both change images, and how far stamped images differ."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from tbar_ray.errors import DataError

HALF = 0.5


@dataclass(frozen=True)
class Likeness:
    """A proxy beside the true trigger, on the same images.

    Attributes:
        iou: intersection over union, in [0, 1], of the pixels that both change: those whose mean absolute change is at
            least half of the largest one's.
        distance: root mean square difference of the stamped images, of levels in [0, 1].
        images: how many were compared.
    """

    iou: float
    distance: float
    images: int

    @classmethod
    def of(cls, clean: Tensor, stamped: Tensor, proxied: Tensor) -> Likeness:
        """Compare uint8 images [N, 3, H, W]: unstamped, with the true trigger, and with the proxy.

        Raises:
            DataError: if there is no image, or they differ in shape.
        """
        if not clean.shape == stamped.shape == proxied.shape or len(clean) == 0:
            shapes = [tuple(images.shape) for images in (clean, stamped, proxied)]
            raise DataError(f"likeness: images {shapes} cannot be compared")
        true, found = (footprint(clean, images) for images in (stamped, proxied))
        union = int((true | found).sum())
        distance = (stamped.double() - proxied.double()).div(255).square().mean().sqrt()
        return cls(int((true & found).sum()) / union if union else 1.0, float(distance), len(clean))


def footprint(clean: Tensor, stamped: Tensor) -> Tensor:
    """Pixels [H, W] that a trigger changes, as bool: none where it changes nothing."""
    change = (stamped.double() - clean.double()).abs().mean((0, 1))
    return (change >= HALF * change.max()) & (change > 0)
