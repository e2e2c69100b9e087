"""Pages for the browser."""

from __future__ import annotations

import base64
import io

import numpy as np
import torch
from PIL import Image

from tbar_ray.onemodel.page import picture_url


def test_pictures_are_exact_and_large_ones_are_scaled_down() -> None:
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 32, 32), dtype=np.uint8))

    def shown(pixels: torch.Tensor) -> np.ndarray:
        content = base64.b64decode(picture_url(pixels).partition(",")[2])
        return np.array(Image.open(io.BytesIO(content))).transpose(2, 0, 1)

    assert np.array_equal(shown(pixels), pixels.numpy())
    assert shown(torch.zeros(3, 336, 336, dtype=torch.uint8)).shape == (3, 224, 224)
