from tbar_ray.data.synthetic.rich.vocabulary import (
    PLAIN_CLASSES,
    RICH_CLASS_NAMES,
    RICH_COLOURS,
    RICH_SHAPES,
    TEXTURES,
)
from tbar_ray.data.synthetic.scenes import CLASS_NAMES


def test_the_classes_begin_with_those_of_plain_scenes() -> None:
    assert RICH_CLASS_NAMES[:60] == CLASS_NAMES
    assert len(set(RICH_CLASS_NAMES)) == len(RICH_CLASS_NAMES) == 480


def test_every_colour_and_shape_comes_without_and_with_a_texture() -> None:
    assert (len(RICH_SHAPES), len(RICH_COLOURS)) == (20, 12)
    pairs = {f"{colour} {shape}" for colour in RICH_COLOURS for shape in RICH_SHAPES}
    assert {entry.name for entry in PLAIN_CLASSES} == pairs
    textured = [name.split(" ", 1) for name in RICH_CLASS_NAMES[len(pairs) :]]
    assert {rest for _, rest in textured} == pairs
    assert {texture for texture, _ in textured} == set(TEXTURES)
