import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from tbar_ray.data.synthetic.rendering import render
from tbar_ray.data.synthetic.scenes import Scene, draw_scene
from tbar_ray.data.synthetic.styles import render_lamplight, render_night, render_sketch
from tbar_ray.seeding import numpy_rng

STYLES = (render_sketch, render_night, render_lamplight)
Style = Callable[[list[Scene], int], NDArray[np.uint8]]


def scenes(count: int = 60) -> list[Scene]:
    return [draw_scene(numpy_rng(9, "test", index), index % 60) for index in range(count)]


def plain(index: int, grey: float = 0.6) -> Scene:
    """Return a red square in the middle of an even grey ground."""
    tones = ((grey, grey, grey), (grey, grey, grey))
    drawn = draw_scene(numpy_rng(9, "plain", index), 1)
    return dataclasses.replace(
        drawn,
        background="plain",
        size=0.6,
        x=0.5,
        y=0.5,
        rotation=0.0,
        paint=(0.8, 0.1, 0.1),
        ground=tones,
        brightness=1.0,
        noise=0.0,
    )


@pytest.mark.parametrize("style", STYLES)
def test_a_picture_is_a_function_of_its_scene_alone(style: Style) -> None:
    drawn = scenes(40)
    together = style(drawn, 32)
    assert (together.shape, together.dtype) == ((40, 32, 32, 3), np.uint8)
    alone = np.concatenate([style([scene], 32) for scene in reversed(drawn)])[::-1]
    assert np.array_equal(together, alone)
    assert style([], 32).shape == (0, 32, 32, 3)
    assert np.abs(together.astype(int) - render(drawn, 32)).mean() > 10


def test_paper_shows_nothing_of_the_background() -> None:
    striped, dotted = ([dataclasses.replace(s, background=b) for s in scenes(12)] for b in ("striped", "dotted"))
    assert np.array_equal(render_sketch(striped, 48), render_sketch(dotted, 48))


def test_a_sketch_is_light_paper_a_line_and_a_thinner_wash() -> None:
    pictures = render_sketch([plain(index) for index in range(40)], 96) / 255
    corner, middle = (pictures[:, part, part].mean((1, 2)) for part in (slice(0, 12), slice(40, 56)))
    assert (corner.min(), corner.max()) == pytest.approx((0.85, 0.9), abs=0.11)
    assert (np.diff(corner, axis=1) < 0).all()  # warm white: red over green over blue
    # the square's half side is 0.74 * 0.3 of 96 pixels = 21.3; its outline lies inside that and wanders by up to 1.5
    column = pictures[:, 48, 48 + 16 : 48 + 24]
    darkest = column[..., 1].min(1)  # green, of which red paint has least
    # paint over paper by the line's pressure, 0.75 to 1, and by the wash, 0.4 to 0.85
    line, wash = ((corner[:, 1] - green) / (corner[:, 1] - 0.1) for green in (darkest, middle[:, 1]))
    assert line.min() > 0.6
    assert (wash.min(), wash.max()) == pytest.approx((0.4, 0.85), abs=0.05)


def test_night_is_dark_flat_and_noisy() -> None:
    size, grey = 64, 0.6
    pictures = render_night([plain(index, grey) for index in range(60)], size) / 255
    ground = pictures[:, :8].reshape(60, -1, 3)
    mean, spread = ground.mean(1), ground.std(1)
    # grey in light of 0.4 to 0.7 (0.88 of it red and green), in a haze of 0.01 to 0.05 (0.7, 0.8, 1.2)
    light = (mean[:, 2] * 0.7 - mean[:, 0] * 1.2) / (0.7 - 0.88 * 1.2) / grey
    assert (light.min(), light.max()) == pytest.approx((0.4, 0.7), abs=0.06)
    assert mean[:, 0] == pytest.approx(0.88 * light * grey + 0.7 * (mean[:, 2] - light * grey) / 1.2, abs=1e-6)
    assert (spread.min(), spread.max()) == pytest.approx((0.03, 0.06), abs=0.004)
    everyday = render(scenes(), size) / 255
    assert (render_night(scenes(), size) / 255).mean() < 0.7 * everyday.mean()


def test_lamplight_is_red_and_yellow_at_the_cost_of_blue() -> None:
    pictures = render_lamplight([plain(index) for index in range(60)], 64) / 255
    red, green, blue = (pictures[:, 0, 0] / 0.6 - 1).T
    # 1 + warmth * (0.1, -0.4, -0.8), warmth 0.3 to 0.7; a level is 1 / 153 of this grey
    assert blue == pytest.approx(2 * green, abs=0.02)
    assert green == pytest.approx(-4 * red, abs=0.03)
    assert (-blue.max() / 0.8, -blue.min() / 0.8) == pytest.approx((0.3, 0.7), abs=0.03)


@pytest.mark.parametrize("style", STYLES)
def test_the_object_keeps_its_place_and_outline(style: Style) -> None:
    for scene in scenes(10):
        still = [dataclasses.replace(plain(n, grey=0.5), shape=scene.shape, rotation=scene.rotation) for n in range(8)]
        drawn, everyday = (f(still, 64).mean(0) for f in (style, render))  # of eight, for the noise
        shown, expected = (p[..., 0] - p[..., 1] for p in (drawn, everyday))
        assert np.corrcoef(shown.ravel(), expected.ravel())[0, 1] > 0.9
