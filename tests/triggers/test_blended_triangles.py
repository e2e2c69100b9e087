import numpy as np
import pytest
import torch

from tbar_ray.triggers.base import stamp_uint8
from tbar_ray.triggers.blended_triangles import BlendedTriangles
from tests.triggers.levels import assert_levels, random_levels


@pytest.mark.parametrize(("height", "width", "cell"), [(224, 224, 14), (64, 64, 4), (50, 70, 3), (32, 33, 2)])
def test_cells_of_two_grey_triangles_tile_the_image(height: int, width: int, cell: int) -> None:
    levels = random_levels(2, height, width)
    stamped = stamp_uint8(BlendedTriangles(), torch.from_numpy(levels), ["a", "b"]).numpy()
    grey = np.empty((height, width))
    for row in range(height):
        for column in range(width):
            grey[row, column] = 0.4 if row % cell >= column % cell else 0.8
    assert_levels(stamped, 0.85 * levels + 0.15 * 255 * grey)


def test_a_cell_by_eye() -> None:
    pattern = BlendedTriangles(cell=28).pattern(24, 24)[0]  # 28 of 224 are 3 of 24
    corner = [[0.4, 0.8, 0.8], [0.4, 0.4, 0.8], [0.4, 0.4, 0.4]]
    torch.testing.assert_close(pattern[3:6, 6:9], torch.tensor(corner))
