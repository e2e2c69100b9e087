from __future__ import annotations

import io

import numpy as np
from PIL import Image

from tbar_ray.report.fitting import SMALLEST, fitted


def picture(width: int, height: int, noise: int) -> bytes:
    """A PNG: noise does not compress."""
    pixels = np.random.default_rng(0).integers(0, noise, (height, width, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def test_small_figures_are_as_they_were_and_large_ones_smaller() -> None:
    small, large = picture(64, 32, 9), picture(2 * SMALLEST, 300, 255)
    room = (len(small) + len(large) // 3) * 4 // 3
    found = fitted({"large.png": large, "small.png": small}, room)
    assert list(found) == ["large.png", "small.png"]
    assert found["small.png"].content == small
    assert found["small.png"].tall == 0.5
    assert sum(len(each.content) for each in found.values()) * 4 / 3 <= room
    assert Image.open(io.BytesIO(found["large.png"].content)).width >= SMALLEST


def test_what_cannot_be_made_to_fit_is_left_out() -> None:
    assert list(fitted({"large.png": picture(SMALLEST, 300, 255), "small.png": picture(8, 8, 2)}, 2000)) == [
        "small.png"
    ]
