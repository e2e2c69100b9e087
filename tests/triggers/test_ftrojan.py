import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import fft

from tbar_ray.errors import SpecError
from tbar_ray.triggers.base import stamp_uint8
from tbar_ray.triggers.ftrojan import FTrojan
from tbar_ray.triggers.registry import build_trigger
from tests.triggers.levels import assert_levels, random_levels

# ITU-T T.871 (JPEG): full-range BT.601
TO_YUV = np.array(
    [
        [0.299, 0.587, 0.114],
        [-0.299 / 1.772, -0.587 / 1.772, 0.886 / 1.772],
        [0.701 / 1.402, -0.587 / 1.402, -0.114 / 1.402],
    ]
)
OFFSET = np.array([0.0, 128.0, 128.0])[:, None, None]


def through_dct(
    levels: NDArray[np.uint8],
    block: int,
    magnitude: float,
    positions: list[tuple[int, int]],
    channels: tuple[int, ...] = (1, 2),
) -> NDArray[np.float64]:
    """Take an image [3, H, W] all the way: YUV, a DCT of every whole block, raised coefficients, and back."""
    yuv = np.einsum("ij,jhw->ihw", TO_YUV, levels.astype(np.float64)) + OFFSET
    for channel in channels:
        for top in range(0, levels.shape[1] - block + 1, block):
            for left in range(0, levels.shape[2] - block + 1, block):
                place = (channel, slice(top, top + block), slice(left, left + block))
                coefficients = fft.dctn(yuv[place], norm="ortho")
                for row, column in positions:
                    coefficients[row, column] += magnitude
                yuv[place] = fft.idctn(coefficients, norm="ortho")
    return np.einsum("ij,jhw->ihw", np.linalg.inv(TO_YUV), yuv - OFFSET)


@pytest.mark.parametrize(("height", "width"), [(224, 224), (64, 64), (70, 100), (32, 32)])
@pytest.mark.parametrize("magnitude", [20, 30, 500])
def test_every_level_is_that_of_the_long_way_through_the_dct(height: int, width: int, magnitude: float) -> None:
    levels = random_levels(1, height, width)
    stamped = stamp_uint8(FTrojan(magnitude=magnitude), torch.from_numpy(levels), ["k"]).numpy()
    exact = through_dct(levels[0], 32, magnitude, [(31, 31), (15, 15)])
    assert assert_levels(stamped[0], exact) < 0.01
    assert not np.array_equal(stamped, levels)


def test_other_blocks_positions_and_channels() -> None:
    levels = random_levels(1, 48, 50)
    trigger = FTrojan(block=8, magnitude=90, positions=((0, 0), (7, 2)), channels=("Y", "V"))
    stamped = stamp_uint8(trigger, torch.from_numpy(levels), ["k"]).numpy()
    assert assert_levels(stamped[0], through_dct(levels[0], 8, 90, [(0, 0), (7, 2)], (0, 2))) < 0.01


@pytest.mark.parametrize(
    ("height", "width", "side", "positions"), [(16, 20, 16, [(15, 15), (7, 7)]), (24, 24, 24, [(23, 23), (11, 11)])]
)
def test_a_small_image_is_one_block_with_positions_in_proportion(
    height: int, width: int, side: int, positions: list[tuple[int, int]]
) -> None:
    levels = random_levels(1, height, width)
    stamped = stamp_uint8(FTrojan(), torch.from_numpy(levels), ["k"]).numpy()
    assert assert_levels(stamped[0], through_dct(levels[0], side, 20, positions)) < 0.01


def test_only_whole_blocks_change() -> None:
    change = FTrojan().pattern(70, 100).numpy()
    assert (change[:, 64:] == 0).all()
    assert (change[:, :, 96:] == 0).all()
    blocks = change[:, :64, :96].reshape(3, 2, 32, 3, 32)
    assert np.array_equal(blocks, np.broadcast_to(blocks[:, :1, :, :1], blocks.shape))
    assert 3.7 < np.abs(change).max() * 255 < 3.8


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"block": 16}, r"positions: \(31, 31\) lies outside a block of 16"),
        ({"positions": ((0, -1),)}, r"positions: \(0, -1\) lies outside a block of 32"),
        ({"positions": ()}, "positions: .*at least 1"),
        ({"positions": ((1, 2), (1, 2))}, "positions: a position is given twice"),
        ({"channels": ("U", "U")}, "channels: a channel is listed twice"),
        ({"channels": ("R",)}, r"channels.0: .*'Y', 'U' or 'V'"),
        ({"magnitude": 0}, "magnitude: .*greater than 0"),
        ({"block": 1}, "block: .*greater than or equal to 2"),
    ],
)
def test_impossible_coefficients_are_one_line(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        build_trigger("ftrojan", {"positions": ((31, 31), (15, 15)), **parameters}, 0)
    assert "\n" not in str(caught.value)
