import numpy as np
import pytest

from tbar_ray.data.synthetic.backgrounds import BACKGROUNDS
from tbar_ray.data.synthetic.scenes import CLASS_NAMES, COLOURS, Scene, draw_scene
from tbar_ray.data.synthetic.shapes import SHAPES
from tbar_ray.seeding import numpy_rng


def _scenes(count: int) -> list[Scene]:
    return [draw_scene(numpy_rng(3, "test", index), index % len(CLASS_NAMES)) for index in range(count)]


def test_sixty_classes_of_ten_shapes_in_six_colours() -> None:
    assert (len(SHAPES), len(COLOURS), len(set(CLASS_NAMES))) == (10, 6, 60)
    assert CLASS_NAMES[0] == "red circle"
    assert [draw_scene(numpy_rng(0, i), i).class_name for i in range(60)] == list(CLASS_NAMES)


def test_drawn_scenes_stay_in_the_picture() -> None:
    scenes = _scenes(600)
    assert {s.background for s in scenes} == set(BACKGROUNDS)
    for scene in scenes:
        assert 0.35 <= scene.size <= 0.75
        assert scene.size / 2 <= scene.x <= 1 - scene.size / 2
        assert scene.size / 2 <= scene.y <= 1 - scene.size / 2


def test_the_objects_colour_is_nearest_to_its_own_name() -> None:
    for scene in _scenes(300):
        nearest = min(COLOURS, key=lambda c: float(np.linalg.norm(np.subtract(COLOURS[c], scene.paint))))
        assert nearest == scene.colour


def test_an_unknown_label_is_refused() -> None:
    with pytest.raises(IndexError):
        draw_scene(numpy_rng(0), len(CLASS_NAMES))
