"""What self-contained HTML pages share: the template of a page, its script, and pictures inside it."""

from __future__ import annotations

import base64
import hashlib
import io
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment
    from matplotlib.figure import Figure
    from PIL import Image

SIDE = 224
"""Pixels of a shown image; larger ones are scaled down."""


def environment(package: str) -> Environment:
    """Templates of a package and the shared ones of this room; what a user named is escaped in them.

    Args:
        package: the package with a folder `templates`, whose pages extend `page.html`.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("tbar_ray.report")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@dataclass(frozen=True)
class Script:
    """A script inside a page.

    Attributes:
        text: of it.
        digest: its SHA-256 in base64, by which the page's Content-Security-Policy lets it run, and no other.
    """

    text: str
    digest: str


def script_of(*places: tuple[str, str]) -> Script:
    """The script that some files make together, one after the other.

    Args:
        places: of each file its package and its name in the package's folder `templates`.
    """
    parts = [files(package).joinpath("templates", name).read_text(encoding="utf-8") for package, name in places]
    text = "".join(parts)
    return Script(text, base64.b64encode(hashlib.sha256(text.encode()).digest()).decode())


def data_url(figure: Figure) -> str:
    """A figure as an SVG in a `data:` URL, for an <img>, in which no script of an SVG runs."""
    from matplotlib import rc_context

    image = io.BytesIO()
    with rc_context({"svg.hashsalt": "tbar", "svg.fonttype": "path"}):
        figure.savefig(image, format="svg", metadata={"Date": None, "Creator": None})
    return f"data:image/svg+xml;base64,{base64.b64encode(image.getvalue()).decode()}"


def png_url(content: bytes) -> str:
    """A PNG in a `data:` URL."""
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def png_of(image: Image.Image) -> bytes:
    """An image as a PNG of at most `SIDE` pixels: JPEG would blur a trigger."""
    from PIL import Image

    if max(image.size) > SIDE:
        image = image.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    return stream.getvalue()
