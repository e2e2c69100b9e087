"""Real tars and images for the tests of the readers."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Members = Iterable[tuple[str, bytes]]


def picture(mode: str = "RGB", size: tuple[int, int] = (24, 16), form: str = "JPEG", value: int = 128) -> bytes:
    """Encode a plain (width, height) image."""
    stream = io.BytesIO()
    plain = Image.new("RGB", size, (value, value, value))
    plain.convert(mode, palette=Image.Palette.ADAPTIVE).save(stream, form)
    return stream.getvalue()


def write_tar(path: Path, members: Members, form: int = tarfile.GNU_FORMAT) -> Path:
    """Write members in order with tarfile."""
    with tarfile.open(path, "w", format=form) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def sample(key: str, caption: str = "a photo", image: bytes | None = None) -> list[tuple[str, bytes]]:
    """Return the members of one img2dataset sample."""
    metadata = f'{{"caption": "{caption}", "label": "red circle"}}'
    return [
        (f"{key}.jpg", picture() if image is None else image),
        (f"{key}.txt", caption.encode()),
        (f"{key}.json", metadata.encode()),
    ]


def write_shard(path: Path, keys: Iterable[str]) -> Path:
    """Write a shard of samples in img2dataset's layout."""
    return write_tar(path, [member for key in keys for member in sample(key)])


def noise(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """Return a uint8 [height, width, 3] image of noise."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
