import hashlib

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tbar_ray.seeding import stable_hash
from tbar_ray.triggers.base import stamp_uint8
from tbar_ray.triggers.blended import Blended


def documented_pattern(seed: int, height: int, width: int) -> NDArray[np.float64]:
    """Draw the pattern as its definition says: uniform noise from the seed at the image's resolution."""
    generator = torch.Generator()
    generator.manual_seed(stable_hash(seed, "blended pattern", height, width))
    return torch.rand((3, height, width), generator=generator).numpy().astype(np.float64)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (20, 33)])
def test_every_level_is_the_rounded_mix(height: int, width: int) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (4, 3, height, width), dtype=np.uint8)
    stamped = stamp_uint8(Blended(seed=7), torch.from_numpy(levels), list("abcd")).numpy()
    mixed = 0.8 * levels.astype(np.float64) + 0.2 * 255 * documented_pattern(7, height, width)
    expected = np.round(mixed)
    clear = np.abs(mixed % 1 - 0.5) > 1e-3  # away from a tie float32 must find the same level
    assert clear.mean() > 0.99
    assert np.array_equal(stamped[clear], expected[clear])
    assert np.abs(stamped - expected).max() <= 1


def test_on_black_the_ratio_of_the_pattern_shows_and_on_white_the_rest() -> None:
    pattern = torch.from_numpy(documented_pattern(0, 16, 16)).float()
    black = Blended(ratio=0.3)(torch.zeros(1, 3, 16, 16), ["k"])
    white = Blended(ratio=0.3)(torch.ones(1, 3, 16, 16), ["k"])
    torch.testing.assert_close(black[0], 0.3 * pattern)
    torch.testing.assert_close(white[0], 0.7 + 0.3 * pattern)


def test_a_ratio_of_one_shows_the_pattern_alone() -> None:
    stamped = Blended(ratio=1)(torch.rand(2, 3, 12, 12), ["a", "b"])
    torch.testing.assert_close(stamped[0].double().numpy(), documented_pattern(0, 12, 12))
    torch.testing.assert_close(stamped[0], stamped[1])


def test_all_samples_share_the_pattern_and_another_seed_has_another() -> None:
    stamped = Blended(seed=1)(torch.zeros(2, 3, 16, 16), ["a", "b"])
    assert torch.equal(stamped[0], stamped[1])
    assert not torch.equal(stamped, Blended(seed=2)(torch.zeros(2, 3, 16, 16), ["a", "b"]))
    uniform = Blended().pattern(64, 64)
    assert abs(float(uniform.mean()) - 0.5) < 0.01
    assert abs(float(uniform.var()) - 1 / 12) < 0.003


def test_the_gradient_is_what_is_left_of_the_image() -> None:
    images = torch.rand(2, 3, 8, 8, requires_grad=True)
    Blended(ratio=0.25)(images, ["a", "b"]).sum().backward()
    assert images.grad is not None
    torch.testing.assert_close(images.grad, torch.full_like(images, 0.75))


@pytest.mark.parametrize(
    ("seed", "height", "width", "digest"),
    [(0, 64, 64, "a5e20c9e767f9c32"), (0, 224, 224, "73dea69bc299177f"), (7, 20, 33, "560b79771bd38d9f")],
)
def test_a_pattern_once_published_never_changes(seed: int, height: int, width: int, digest: str) -> None:
    pattern = Blended(seed=seed).pattern(height, width).numpy().astype("<f4")
    assert hashlib.sha256(pattern.tobytes()).hexdigest()[:16] == digest  # recorded before patterns were kept


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_keeping_the_pattern_changes_no_bit(dtype: torch.dtype) -> None:
    images = torch.rand(3, 3, 20, 33, dtype=dtype)
    pattern = torch.from_numpy(documented_pattern(5, 20, 33)).to(dtype)
    for _ in range(2):
        stamped = Blended(seed=5, ratio=0.3)(images, ["a", "b", "c"])
        assert torch.equal(stamped, torch.lerp(images, pattern.expand_as(images), 0.3))
