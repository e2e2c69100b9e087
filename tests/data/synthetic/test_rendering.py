import dataclasses

import numpy as np
import pytest

from tbar_ray.data.synthetic.rendering import render
from tbar_ray.data.synthetic.scenes import CLASS_NAMES, Scene, draw_scene
from tbar_ray.data.synthetic.shapes import SHAPES
from tbar_ray.seeding import numpy_rng


def _scenes(count: int) -> list[Scene]:
    return [draw_scene(numpy_rng(3, "test", index), index % len(CLASS_NAMES)) for index in range(count)]


def _plain(shape: str, size: float = 0.7) -> Scene:
    grey = (0.5, 0.5, 0.5)
    return dataclasses.replace(
        _scenes(1)[0],
        shape=shape,
        background="plain",
        size=size,
        x=0.5,
        y=0.5,
        rotation=0.0,
        paint=(1.0, 1.0, 1.0),
        ground=((0.0, 0.0, 0.0), grey),
        brightness=1.0,
        noise=0.0,
    )


def test_pixels_do_not_depend_on_the_batch() -> None:
    scenes = _scenes(60)
    together = render(scenes, 40)
    alone = np.concatenate([render([scene], 40) for scene in reversed(scenes)])[::-1]
    assert together.shape == (60, 40, 40, 3)
    assert together.dtype == np.uint8
    assert np.array_equal(together, alone)


def test_no_scenes_give_an_empty_batch() -> None:
    assert render([], 32).shape == (0, 32, 32, 3)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_fills_its_circle_and_no_more(shape: str) -> None:
    image = render([_plain(shape)], 128)[0, :, :, 0] / 255
    axis = (np.arange(128) + 0.5) / 128 - 0.5
    radius = np.hypot(axis, axis[:, None]) / 0.35
    assert image[radius > 1.1].max() == 0
    assert 0.2 < image.sum() / (np.pi * (0.35 * 128) ** 2) < 0.85
    assert (radius[image > 0.5]).max() > 0.8


def test_shapes_differ_from_each_other_at_any_rotation() -> None:
    steps = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    pictures = {s: render([dataclasses.replace(_plain(s), rotation=r) for r in steps], 48) / 255 for s in SHAPES}
    for one in SHAPES:
        for other in SHAPES[SHAPES.index(one) + 1 :]:
            gap = np.abs(pictures[one][:1, ..., 0] - pictures[other][..., 0]).sum((1, 2)).min()
            assert gap > 30, (one, other)  # pixels of 2304


def test_antialiased_coverage_adds_up_to_the_circles_area_wherever_it_lies() -> None:
    places = np.linspace(0.45, 0.55, 7)
    scenes = [dataclasses.replace(_plain("circle"), x=x, y=y) for x in places for y in places]
    areas = (render(scenes, 64)[..., 0] / 255).sum((1, 2))
    assert areas == pytest.approx(np.pi * (0.88 * 0.35 * 64) ** 2, rel=2e-3)
