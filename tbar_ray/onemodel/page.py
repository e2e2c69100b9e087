"""Pages about one model: one HTML file that opens anywhere, without scripts and without a network."""

from __future__ import annotations

from pathlib import Path

from PIL import Image
from torch import Tensor

from tbar_ray import __version__
from tbar_ray.errors import DataError
from tbar_ray.onemodel.pace import duration
from tbar_ray.report.page import environment, png_of, png_url


def render(template: str, **context: object) -> str:
    """A page as HTML; everything that a user named is escaped."""
    found = environment("tbar_ray.onemodel").get_template(template)
    return found.render(version=__version__, duration=duration, **context)


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
    """A uint8 image [3, H, W] as a PNG in a `data:` URL."""
    return png_url(png_of(Image.fromarray(pixels.permute(1, 2, 0).numpy())))
