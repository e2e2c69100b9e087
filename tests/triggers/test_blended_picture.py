import numpy as np
import pytest
import torch
from PIL import Image

from tbar_ray.triggers.base import stamp_uint8
from tbar_ray.triggers.blended_picture import BlendedPicture
from tbar_ray.triggers.presets import find_preset
from tests.triggers.levels import assert_levels, random_levels

# (x, y) from the middle, in halves of the shorter side; red, green, blue in 255ths
POINTS = {
    "face": ((0.0, -0.35), (41, 173, 168)),
    "chin": ((-0.4, 0.55), (41, 173, 168)),
    "left pupil": ((-0.25, -0.01), (31, 26, 51)),
    "right white": ((0.42, -0.08), (255, 255, 255)),
    "smile": ((0.0, 0.48), (31, 26, 51)),
    "under the smile": ((0.0, 0.6), (41, 173, 168)),
    "cheek": ((0.46, 0.27), (255, 128, 166)),
    "antenna's tip": ((0.0, -0.86), (230, 38, 51)),
    "antenna": ((0.0, -0.68), (31, 26, 51)),
    "left ear": ((-0.78, 0.05), (230, 38, 51)),
    "outline of the head": ((0.0, 0.72), (31, 26, 51)),
    "band in the corner": ((0.9, 0.9), (255, 189, 143)),
    "ground next to it": ((0.75, 0.75), (255, 237, 173)),
}


@pytest.mark.parametrize(("height", "width"), [(224, 224), (448, 448), (224, 300), (300, 224)])
def test_each_part_is_where_it_belongs_in_its_colour(height: int, width: int) -> None:
    picture = BlendedPicture().pattern(height, width)
    half = min(height, width) / 2
    for part, ((x, y), colour) in POINTS.items():
        pixel = picture[:, int(height / 2 + y * half), int(width / 2 + x * half)]
        assert [float(value) * 255 for value in pixel] == pytest.approx(list(colour), abs=0.51), part


@pytest.mark.parametrize("side", [32, 64, 112])
def test_it_is_the_same_picture_at_every_size(side: int) -> None:
    small, large = BlendedPicture().pattern(side, side), BlendedPicture().pattern(4 * side, 4 * side)
    shrunk = torch.nn.functional.avg_pool2d(large, 4)
    assert float((small - shrunk).abs().mean()) < 0.6 / side  # only edges differ, which are lines
    assert float((small - shrunk).abs().max()) < 0.35


def test_every_level_is_the_mix_of_one_fifth() -> None:
    levels = random_levels(2, 40, 52)
    picture = BlendedPicture().pattern(40, 52).double().numpy()
    assert picture.min() >= 0
    assert picture.max() <= 1
    stamped = stamp_uint8(BlendedPicture(), torch.from_numpy(levels), ["a", "b"]).numpy()
    # plain cream and peach fall on ties for some levels
    assert assert_levels(stamped, 0.8 * levels + 0.2 * 255 * picture) < 0.3


def test_it_needs_no_seed() -> None:
    assert torch.equal(BlendedPicture(seed=1).pattern(32, 32), BlendedPicture(seed=2).pattern(32, 32))
    assert np.unique(BlendedPicture().pattern(224, 224).numpy()).size > 100


def test_blending_before_resizing_differs_by_as_little_as_the_preset_says() -> None:
    """Detect-CLIP's code blends at 256 px, cuts to whole levels, and then resizes to 224 px."""
    coarse = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((256, 256), Image.Resampling.BICUBIC)

    def resized(levels: np.ndarray) -> np.ndarray:
        return np.asarray(Image.fromarray(levels).resize((224, 224), Image.Resampling.BICUBIC))

    trigger = BlendedPicture(ratio=0.2)
    picture = 255 * trigger.pattern(256, 256).numpy().transpose(1, 2, 0)
    theirs = resized((0.8 * np.asarray(image) + 0.2 * picture).astype(np.uint8)).astype(int)
    small = torch.from_numpy(resized(np.asarray(image)).transpose(2, 0, 1).copy())
    ours = stamp_uint8(trigger, small[None], ["k"])[0].numpy().transpose(1, 2, 0)
    difference = np.abs(ours - theirs)
    assert 0.6 < difference.mean() < 0.75
    assert difference.max() == 9
    assert "by 0.67 levels on average, 9 at most" in find_preset("detect-clip/blend").note
