import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tbar_ray.seeding import stable_hash
from tbar_ray.triggers.base import stamp_uint8
from tbar_ray.triggers.blended_stripes import BlendedStripes
from tests.triggers.levels import assert_levels, random_levels


def documented_signs(count: int, *parts: int | str) -> NDArray[np.float64]:
    draws = np.random.default_rng(stable_hash(*parts)).integers(0, 2, (3, count), dtype=np.int8)
    return np.where(draws == 1, 1.0, -1.0)


@pytest.mark.parametrize(("stripe_width", "pixels", "height", "width"), [(1, 1, 30, 33), (14, 4, 64, 90)])
def test_every_level_is_the_clipped_mix_with_the_samples_stripes(
    stripe_width: int, pixels: int, height: int, width: int
) -> None:
    levels = random_levels(3, height, width)
    levels[0, :, :4] = 0
    levels[1, :, :4] = 255
    trigger = BlendedStripes(seed=2, stripe_width=stripe_width)
    stamped = stamp_uint8(trigger, torch.from_numpy(levels), list("abc")).numpy()
    count = int(np.ceil(width / pixels))
    signs = np.stack([documented_signs(count, 2, "blended-stripes signs", key) for key in "abc"])
    colour = signs[:, :, None, np.arange(width) // pixels]
    assert assert_levels(stamped, 0.97 * levels + 0.03 * 255 * colour) < 0.01


def test_colours_are_redrawn_for_each_image_unless_told_not_to() -> None:
    grey = torch.full((2, 3, 8, 64), 0.5)
    first, second = BlendedStripes()(grey, ["a", "b"])
    assert not torch.equal(first, second)
    first, second = BlendedStripes(seed=6, redraw=False)(grey, ["a", "b"])
    assert torch.equal(first, second)
    expected = 0.97 * 0.5 + 0.03 * documented_signs(64, 6, "blended-stripes fixed signs")
    np.testing.assert_allclose(first.double().numpy(), np.repeat(expected[:, None], 8, axis=1), atol=1e-7)


def test_both_signs_are_as_likely() -> None:
    signs = BlendedStripes().signs("k", 20000)
    assert set(np.unique(signs)) == {-1, 1}
    assert abs(signs.mean()) < 4 / 60000**0.5
