import numpy as np
import torch
from numpy.typing import NDArray

from tbar_ray.seeding import stable_hash
from tbar_ray.triggers.base import stamp_uint8
from tbar_ray.triggers.blended_per_image import BlendedPerImage
from tests.triggers.levels import assert_levels, random_levels


def documented_noise(seed: int, key: str, height: int, width: int) -> NDArray[np.float64]:
    """Draw the noise as its definition says: bytes of the sample's own stream, least significant first."""
    words = np.random.default_rng(stable_hash(seed, "blended-per-image noise", key)).integers(
        0, 2**64, (3 * height * width + 7) // 8, dtype=np.uint64
    )
    values = [(int(word) >> 8 * place) & 255 for word in words for place in range(8)]
    return np.array(values[: 3 * height * width], np.float64).reshape(3, height, width)


def test_every_level_is_the_rounded_mix_with_the_samples_own_noise() -> None:
    levels = random_levels(3, 17, 21)
    stamped = stamp_uint8(BlendedPerImage(seed=4), torch.from_numpy(levels), list("abc")).numpy()
    noise = np.stack([documented_noise(4, key, 17, 21) for key in "abc"])
    assert assert_levels(stamped, 0.8 * levels + 0.2 * noise) == 0  # multiples of 0.2 never tie


def test_the_noise_is_uniform_and_independent_between_pixels_keys_and_seeds() -> None:
    first = BlendedPerImage().noise("a", 224, 224) / 255
    assert abs(first.mean() - 0.5) < 0.004
    assert abs(first.var() - 1 / 12) < 0.0015
    counts = np.bincount((first * 255).round().astype(int).ravel(), minlength=256)
    expected = first.size / 256
    assert ((counts - expected) ** 2 / expected).sum() < 255 + 4 * (2 * 255) ** 0.5
    others = [BlendedPerImage().noise("b", 224, 224), BlendedPerImage(seed=1).noise("a", 224, 224)]
    pairs = [(first, other) for other in others] + [(first[..., 1:], first[..., :-1]), (first[0], first[1])]
    assert all(abs(np.corrcoef(x.ravel(), y.ravel())[0, 1]) < 0.02 for x, y in pairs)


def test_a_ratio_of_one_shows_the_noise_alone() -> None:
    stamped = stamp_uint8(BlendedPerImage(ratio=1), torch.full((1, 3, 5, 7), 80, dtype=torch.uint8), ["k"])
    assert np.array_equal(stamped[0].numpy(), documented_noise(0, "k", 5, 7))
