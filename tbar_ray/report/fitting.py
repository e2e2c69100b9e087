"""Figures made small enough for a page that is mailed."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass

PHOTOGRAPHS = frozenset({"contact_sheet.png"})
"""Figures of pictures, whose colours are not cut down."""
COLOURS = 128
SMALLEST = 700
"""Pixels of width below which no figure is scaled."""


@dataclass(frozen=True)
class Fitted:
    """A PNG, and its height over its width."""

    content: bytes
    tall: float


def fitted(figures: Mapping[str, bytes], room: int) -> dict[str, Fitted]:
    """Figures as PNG that take `room` bytes together in base64, if they can.

    Those that are larger than their share get fewer colours, then half the size, until they fit. What cannot be made
    to fit is left out; it is beside the page.
    """
    found: dict[str, Fitted] = {}
    left = room * 3 // 4
    by_size = sorted(figures, key=lambda name: len(figures[name]))
    for place, name in enumerate(by_size):
        small = _reduced(figures[name], left // (len(by_size) - place), name not in PHOTOGRAPHS)
        if len(small.content) <= left:
            found[name] = small
            left -= len(small.content)
    return {name: found[name] for name in figures if name in found}


def _reduced(content: bytes, most: int, palette: bool) -> Fitted:
    from PIL import Image, UnidentifiedImageError

    try:
        image = Image.open(io.BytesIO(content)).convert("RGB")
    except UnidentifiedImageError:
        return Fitted(content, 0.0)
    tall = image.height / image.width
    while len(content) > most:
        content = _png(image.quantize(COLOURS, dither=Image.Dither.NONE) if palette else image)
        if len(content) <= most or image.width // 2 < SMALLEST:
            break
        image = image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)
    return Fitted(content, tall)


def _png(image: object) -> bytes:
    from PIL import Image

    assert isinstance(image, Image.Image)
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    return stream.getvalue()
