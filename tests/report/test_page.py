from __future__ import annotations

import base64
import io

from PIL import Image

from tbar_ray.report.page import SIDE, environment, png_of, png_url


def test_what_a_user_named_is_escaped_in_every_page() -> None:
    for package in ("tbar_ray.report", "tbar_ray.onemodel", "tbar_ray.leaderboard"):
        template = environment(package).from_string(
            "{% extends 'page.html' %}{% block title %}{{ name }}{% endblock %}"
        )
        page = template.render(name="<b>")
        assert "<title>&lt;b&gt;</title>" in page
        assert "default-src 'none'" in page


def test_large_pictures_are_scaled_down_and_no_bit_is_lost_of_small_ones() -> None:
    small = Image.new("RGB", (9, 5), (1, 2, 3))
    content = base64.b64decode(png_url(png_of(small)).removeprefix("data:image/png;base64,"))
    assert Image.open(io.BytesIO(content)).tobytes() == small.tobytes()
    assert Image.open(io.BytesIO(png_of(Image.new("RGB", (2 * SIDE, 9))))).size == (SIDE, SIDE)
