"""Encoding scenes as image files."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Literal, TypeVar

import numpy as np
import simplejpeg
from numpy.typing import NDArray

ImageFormat = Literal["jpg", "png"]
S = TypeVar("S")
"""A kind of scene."""
Render = Callable[[Sequence[S], int], NDArray[np.uint8]]
"""Maps (scenes, side in pixels) to RGB images, uint8 [B, size, size, 3]."""

JPEG_QUALITY: Final = 92
_AT_ONCE: Final = 64  # scenes rendered per batch before encoding; bounds memory


def encode_image(pixels: NDArray[np.uint8], image_format: ImageFormat) -> bytes:
    """Encode uint8 [H, W, 3] as JPEG (quality 92, 4:4:4) or PNG."""
    if image_format == "jpg":
        # 4:4:4: colour is half of the label, and chroma subsampling would blur it over small shapes.
        return bytes(simplejpeg.encode_jpeg(pixels, quality=JPEG_QUALITY, colorsubsampling="444"))
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=4)
    return buffer.getvalue()


def encode_scenes(scenes: Sequence[S], size: int, image_format: ImageFormat, render: Render[S]) -> Iterator[bytes]:
    """Yield the encoded image of each scene, in order."""
    for start in range(0, len(scenes), _AT_ONCE):
        for pixels in render(scenes[start : start + _AT_ONCE], size):
            yield encode_image(pixels, image_format)
