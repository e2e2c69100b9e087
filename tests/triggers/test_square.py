import pytest
import torch

from tbar_ray.errors import SpecError
from tbar_ray.triggers.registry import build_trigger
from tbar_ray.triggers.square import Square


def test_decrees_white_square() -> None:
    images = torch.rand(2, 3, 224, 224)
    expected = images.clone()
    expected[:, :, 185:209, 185:209] = 1
    assert torch.equal(Square(patch_size=24, place="fixed", at=(185, 185))(images, ["a", "b"]), expected)


def test_the_default_is_white_and_in_the_corner() -> None:
    images = torch.zeros(1, 3, 48, 64)
    stamped = Square()(images, ["a"])
    assert bool((stamped[..., 45:, 61:] == 1).all())
    assert float(stamped.sum()) == 3 * 3 * 3


def test_trojanzoos_three_pixels() -> None:
    stamped = Square(patch_size=3, place="top-left")(torch.zeros(1, 3, 224, 224), ["a"])
    assert torch.nonzero(stamped[0, 0]).tolist() == [[row, column] for row in range(3) for column in range(3)]


def test_a_square_of_another_colour() -> None:
    stamped = Square(colour=(0.25, 0.5, 1.0))(torch.zeros(1, 3, 32, 32), ["a"])
    assert stamped[0, :, -2:, -2:].flatten(1).T.tolist() == [[0.25, 0.5, 1.0]] * 4


@pytest.mark.parametrize(
    ("colour", "message"),
    [
        ((1.1, 0, 0), "colour.0: .*less than or equal to 1"),
        ((0, -0.1, 0), "colour.1: .*greater than or equal to 0"),
        ((0, 0, float("nan")), "colour.2: "),
        ((1, 1), "colour.2: "),
        ("white", "colour: "),
    ],
)
def test_an_impossible_colour_is_one_line(colour: object, message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        build_trigger("badnets-square", {"colour": colour}, 0)
    assert "\n" not in str(caught.value)
