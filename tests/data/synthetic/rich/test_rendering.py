import dataclasses

import numpy as np
import pytest

from tbar_ray.data.synthetic.rich.rendering import render_rich
from tbar_ray.data.synthetic.rich.scene import RichScene, Thing
from tbar_ray.data.synthetic.rich.vocabulary import RICH_SHAPES, TEXTURES, RichClass
from tests.data.synthetic.rich.drawn import scenes

BLACK, GREY, WHITE = ((level, level, level) for level in (0.0, 0.5, 1.0))


def thing(shape: str, texture: str = "", **changes: object) -> Thing:
    """Return a white object in the middle."""
    made = Thing(
        named=RichClass(texture, "red", shape),
        size=0.7,
        x=0.5,
        y=0.5,
        rotation=0.0,
        stretch=1.0,
        paint=WHITE,
        second=GREY,
        texture_angle=0.4,
        texture_cycles=1.5,
    )
    return dataclasses.replace(made, **changes)


def on_black(*things: Thing, **changes: object) -> RichScene:
    """Return a scene on a black ground, in even light and without noise."""
    made = RichScene(
        things=things,
        arrangement="alone",
        background="plain",
        ground=(BLACK, GREY),
        pattern_angle=0.3,
        pattern_cycles=4.0,
        pattern_phase=0.0,
        look="",
        gain=WHITE,
        contrast=1.0,
        light_angle=0.0,
        light=0.0,
        noise=0.0,
        noise_seed=1,
    )
    return dataclasses.replace(made, **changes)


def grey(scene: RichScene, size: int = 96) -> np.ndarray:
    return render_rich([scene], size)[0, :, :, 1] / 255


def test_pixels_do_not_depend_on_the_batch() -> None:
    drawn = scenes(40)
    together = render_rich(drawn, 40)
    alone = np.concatenate([render_rich([scene], 40) for scene in reversed(drawn)])[::-1]
    assert (together.shape, together.dtype) == ((40, 40, 40, 3), np.uint8)
    assert np.array_equal(together, alone)
    assert render_rich([], 32).shape == (0, 32, 32, 3)


@pytest.mark.parametrize("shape", RICH_SHAPES)
def test_a_shape_fills_its_circle_and_no_more(shape: str) -> None:
    image = grey(on_black(thing(shape)), 128)
    axis = (np.arange(128) + 0.5) / 128 - 0.5
    radius = np.hypot(axis, axis[:, None]) / 0.35
    assert image[radius > 1.15].max() == 0  # the ends of a chevron lie at 1.12
    assert 0.2 < image.sum() / (np.pi * (0.35 * 128) ** 2) < 0.85
    assert radius[image > 0.5].max() > 0.8


def test_shapes_differ_from_each_other_at_any_rotation() -> None:
    steps = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    turned = {s: render_rich([on_black(thing(s, rotation=r)) for r in steps], 48)[..., 0] / 255 for s in RICH_SHAPES}
    for place, one in enumerate(RICH_SHAPES):
        for other in RICH_SHAPES[place + 1 :]:
            gap = np.abs(turned[one][:1] - turned[other]).sum((1, 2)).min()
            assert gap > 30, (one, other)  # pixels of 2304


def test_an_object_is_painted_where_it_lies_and_the_first_lies_on_top() -> None:
    corner = thing("square", size=0.3, x=0.25, y=0.75)
    image = grey(on_black(corner))
    rows, columns = np.nonzero(image > 0.5)
    assert (columns.mean(), rows.mean()) == pytest.approx((23.5, 71.5), abs=0.5)
    inner, outer = thing("circle", size=0.2, paint=GREY), thing("square")
    assert grey(on_black(inner, outer))[48, 48] == pytest.approx(0.5, abs=0.01)
    assert grey(on_black(outer, inner))[48, 48] == 1.0


@pytest.mark.parametrize("texture", TEXTURES)
def test_a_texture_shows_its_second_colour_within_the_shape_alone(texture: str) -> None:
    plain, textured = grey(on_black(thing("square"))), grey(on_black(thing("square", texture)))
    assert np.array_equal(plain == 0, textured == 0)
    inside = textured[plain == 1]
    assert 0.1 < (inside < 0.6).mean() < 0.7
    assert (inside > 0.9).mean() > 0.2


def test_blur_softens_edges_and_keeps_the_mean() -> None:
    sharp, blurry = grey(on_black(thing("gear"))), grey(on_black(thing("gear"), look="blurry"))
    assert np.abs(np.diff(blurry)).max() < 0.7 * np.abs(np.diff(sharp)).max()
    assert blurry.mean() == pytest.approx(sharp.mean(), abs=2e-3)


def test_exposure_is_contrast_about_grey_then_gain_then_light() -> None:
    base = on_black(thing("circle", paint=(0.6, 0.6, 0.6)))
    changed = dataclasses.replace(base, contrast=0.8, gain=(0.5, 0.75, 1.0))
    pixel = render_rich([changed], 96)[0, 48, 48] / 255
    assert pixel == pytest.approx(np.array([0.5, 0.75, 1.0]) * (0.5 + 0.8 * 0.1), abs=0.003)
    lit = grey(dataclasses.replace(base, ground=(GREY, GREY), light=0.3, light_angle=0.0))
    assert (lit[0, 0], lit[0, -1]) == pytest.approx((0.5 * 0.7, 0.5 * 1.3), abs=0.01)


def test_every_background_has_both_tones() -> None:
    for background in ("gradient", "striped", "checkered", "cloudy", "dotted", "wavy"):
        image = grey(on_black(background=background))
        assert image.max() - image.min() > 0.2
        assert 0.05 < image.mean() < 0.45
