"""A rich scene: everything its image depends on, including the seed of its pixel noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tbar_ray.data.synthetic.rich.vocabulary import RichClass
from tbar_ray.data.synthetic.scenes import RGB

Arrangement = Literal[
    "alone", "left of", "right of", "above", "below", "inside", "between", "several", "several and one"
]
"""Position of the first object relative to the others; the objects of "several" are of one class."""


@dataclass(frozen=True, slots=True)
class Thing:
    """One object. Lengths are fractions of the image's side, colours are RGB in [0, 1], angles are in radians.

    Attributes:
        named: Its class.
        size: Diameter of the shape's circumscribed circle.
        x: Centre from the left.
        y: Centre from the top.
        rotation: Rotation of the shape.
        stretch: Factor on its width before rotation, and its inverse on its height.
        paint: Its colour after jitter.
        second: The other colour of its texture.
        texture_angle: Direction of the texture, in the shape's own coordinates.
        texture_cycles: Repeats of the texture over the circumscribed circle's radius.
    """

    named: RichClass
    size: float
    x: float
    y: float
    rotation: float
    stretch: float
    paint: RGB
    second: RGB
    texture_angle: float
    texture_cycles: float


@dataclass(frozen=True, slots=True)
class RichScene:
    """Parameters of one image.

    Attributes:
        things: The objects. The first one gives the scene its label; the last one is painted first.
        arrangement: Their arrangement.
        background: One of `RICH_BACKGROUNDS`.
        ground: The background's two tones.
        pattern_angle: Direction of the background's pattern, radians.
        pattern_cycles: Repeats of the pattern across the image.
        pattern_phase: Offset of the pattern, radians.
        look: One of `LOOKS`, or "".
        gain: Factor on each channel: brightness, and the light's colour.
        contrast: Factor on the distance from middle grey, before the gain.
        light_angle: Direction of the light, radians.
        light: Relative increase in brightness from the centre to the lit edge of the image.
        noise: Standard deviation of the pixel noise, in units of the full range.
        noise_seed: Seed of the pixel noise and of the clouds.
    """

    things: tuple[Thing, ...]
    arrangement: Arrangement
    background: str
    ground: tuple[RGB, RGB]
    pattern_angle: float
    pattern_cycles: float
    pattern_phase: float
    look: str
    gain: RGB
    contrast: float
    light_angle: float
    light: float
    noise: float
    noise_seed: int

    @property
    def class_name(self) -> str:
        """The name of the first object."""
        return self.things[0].named.name
