"""Pages for the browser: one HTML file that opens anywhere, without scripts and without a network."""

from __future__ import annotations

import base64
import io
from pathlib import Path

from PIL import Image
from torch import Tensor

from tbar_ray import __version__
from tbar_ray.errors import DataError
from tbar_ray.onemodel.pace import duration

SIDE = 224
"""Pixels of a shown image; larger ones are scaled down."""


def render(template: str, **context: object) -> str:
    """A page as HTML; everything that a user named is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("tbar_ray.onemodel"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template(template).render(version=__version__, duration=duration, **context)


def write_page(out: Path, page: str) -> Path:
    """Write a page; a file of that name is replaced.

    Raises:
        DataError: if it cannot be written.
    """
    try:
        out.write_text(page, encoding="utf-8")
    except OSError as error:
        raise DataError(f"cannot write the report {out}: {error.strerror or error}") from None
    return out


def picture_url(pixels: Tensor) -> str:
    """A uint8 image [3, H, W] as a PNG in a `data:` URL: JPEG would blur a trigger."""
    image = Image.fromarray(pixels.permute(1, 2, 0).numpy())
    if max(image.size) > SIDE:
        image = image.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
