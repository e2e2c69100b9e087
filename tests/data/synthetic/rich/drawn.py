"""Rich scenes for tests."""

from functools import cache

from tbar_ray.data.synthetic.rich.drawing import draw_rich_scene
from tbar_ray.data.synthetic.rich.scene import RichScene
from tbar_ray.data.synthetic.rich.vocabulary import PLAIN_CLASSES
from tbar_ray.seeding import numpy_rng


@cache
def scenes(count: int) -> tuple[RichScene, ...]:
    """Return training scenes of all labels in turn."""
    return tuple(draw_rich_scene(numpy_rng(5, "test", n), n % len(PLAIN_CLASSES)) for n in range(count))
