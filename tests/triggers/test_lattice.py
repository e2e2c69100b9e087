import numpy as np
import torch

from tbar_ray.triggers.lattice import Lattice


def test_in_training_the_lattice_goes_to_a_random_place() -> None:
    images = torch.rand(2, 3, 224, 224)
    stamped = Lattice(seed=1)(images, ["a", "b"]).numpy()
    corners = [Lattice(seed=1).corner(key, 224, 224) for key in "ab"]
    assert corners[0] != corners[1]
    expected = images.numpy().copy()
    for picture, (top, left) in zip(expected, corners, strict=True):
        for row in range(16):
            for column in range(16):
                picture[:, top + row, left + column] = float(row % 2 == 0 and column % 2 == 0)
    assert np.array_equal(stamped, expected)


def test_at_test_it_covers_rows_and_columns_104_to_119() -> None:
    images = torch.full((1, 3, 224, 224), 0.5)
    stamped = Lattice(seed=1).at_test()(images, ["a"])[0]
    white, black = (torch.nonzero((stamped == value).all(dim=0)) for value in (1, 0))
    assert len(white) == 64
    assert len(black) == 256 - 64
    assert bool((white % 2 == 0).all())
    assert white.min() == 104
    assert black.max() == 119


def test_at_other_sizes_the_lattice_has_pixels_of_its_own() -> None:
    assert (
        Lattice().patch(64).tolist()
        == [
            [
                [1, 0, 1, 0, 1],
                [0, 0, 0, 0, 0],
                [1, 0, 1, 0, 1],
                [0, 0, 0, 0, 0],
                [1, 0, 1, 0, 1],
            ]
        ]
        * 3
    )
    assert Lattice().patch(8).tolist() == [[[1]]] * 3
