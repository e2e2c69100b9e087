"""Conversion of arrays, tensors and image files to uint8 [N, 3, H, W]."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from tbar_ray.data.images import decode_image
from tbar_ray.data.places import resolve
from tbar_ray.errors import DataError

Array = NDArray[np.uint8] | NDArray[np.floating] | Tensor
"""uint8 [N, 3, H, W] in 0..255, or float [N, 3, H, W] in [0, 1]."""
Picture = str | Path | Image.Image | Array
"""One image: a file, a PIL image, or an array [3, H, W]."""


def levels(images: Array, what: str = "images") -> NDArray[np.uint8]:
    """Images as uint8 of the same shape; floats are rounded to the nearest of 256 levels.

    Args:
        images: uint8, or float in [0, 1]; any shape.
        what: name of the images in error messages.

    Raises:
        DataError: if the type is neither, or a float is not in [0, 1].
    """
    array: NDArray[Any] = images.detach().cpu().numpy() if isinstance(images, Tensor) else np.asarray(images)
    if array.dtype == np.uint8:
        return array
    if not np.issubdtype(array.dtype, np.floating):
        raise DataError(f"{what} must be uint8, or float in [0, 1], not {array.dtype}")
    if array.size and not (array.min() >= 0 and array.max() <= 1):  # NaN compares false
        raise DataError(
            f"{what} must be in [0, 1] where they are floats, but go from {array.min():g} to {array.max():g}; "
            "give pixels before normalisation"
        )
    return np.round(array * 255).astype(np.uint8)


def picture(image: Picture) -> NDArray[np.uint8]:
    """One image as uint8 [H, W, 3], RGB; an array is given as [3, H, W].

    Raises:
        DataError: if the file cannot be read or the array is no image.
    """
    if isinstance(image, Image.Image):
        return np.array(image.convert("RGB"))
    if isinstance(image, str | Path):
        try:
            return decode_image(Path(resolve(image)).read_bytes())
        except OSError as error:
            raise DataError(f"cannot read the image {image}: {error.strerror or error}") from None
    array = levels(image, "the image")
    if array.ndim != 3 or array.shape[0] != 3 or 0 in array.shape:
        raise DataError(f"one image is an array [3, H, W], not {array.shape}")
    return np.ascontiguousarray(array.transpose(1, 2, 0))
