"""Images in memory as samples."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tbar_ray.errors import DataError


class ArraySamples:
    """Images of an array, with labels and captions where there are any; `Samples`.

    Keys are the positions, nine digits long.

    Args:
        images: uint8 [N, 3, H, W], RGB.
        labels: N classes by index or by name; None if unknown.
        captions: N texts; None if there are none.

    Raises:
        DataError: if shapes, types or numbers do not fit.
    """

    def __init__(
        self,
        images: NDArray[np.uint8],
        labels: Sequence[int] | Sequence[str] | None = None,
        captions: Sequence[str] | None = None,
    ) -> None:
        if images.ndim != 4 or images.shape[1] != 3 or images.dtype != np.uint8 or 0 in images.shape:
            raise DataError(f"images must be uint8 [N, 3, H, W] and not empty, got {images.dtype} {images.shape}")
        for what, given in (("labels", labels), ("captions", captions)):
            if given is not None and len(given) != len(images):
                raise DataError(f"{len(images)} images but {len(given)} {what}")
        self.keys = tuple(f"{row:09d}" for row in range(len(images)))
        self._images, self._labels, self._captions = images, labels, captions

    def __len__(self) -> int:
        return len(self.keys)

    def image_bytes(self, i: int) -> bytes:
        """Image `i` as a BMP, which is lossless."""
        stream = io.BytesIO()
        Image.fromarray(self._images[i].transpose(1, 2, 0)).save(stream, "BMP")
        return stream.getvalue()

    def caption(self, i: int) -> str | None:
        """Caption of image `i`, stripped; None if it has none or a blank one."""
        return (self._captions[i].strip() or None) if self._captions is not None else None

    def metadata(self, i: int) -> Mapping[str, Any]:  # noqa: ARG002 - an array has none
        """Always empty: arrays have no metadata."""
        return {}

    def label(self, i: int) -> str | None:
        """Class name of image `i`; None where classes are given by index, or not at all."""
        value = self._labels[i] if self._labels is not None else None
        return value if isinstance(value, str) else None

    def class_index(self, i: int) -> int | None:
        """Class number of image `i`; None where classes are given by name, or not at all."""
        value = self._labels[i] if self._labels is not None else None
        return None if value is None or isinstance(value, str) else int(value)

    def index_of(self, key: str) -> int:
        """Position of a key, from 0: the number that its nine digits write.

        Raises:
            DataError: if no image has it.
        """
        if not key.isdecimal() or int(key) >= len(self) or self.keys[int(key)] != key:
            raise DataError(f"no image {key!r} among {len(self)}")
        return int(key)
