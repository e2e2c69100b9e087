import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tbar_ray.errors import SpecError
from tbar_ray.seeding import stable_hash
from tbar_ray.triggers.base import cover_uint8, stamp_uint8
from tbar_ray.triggers.registry import build_trigger
from tbar_ray.triggers.wanet import WaNet, WaNetJitter, Warp
from tests.triggers.levels import assert_levels, random_levels

Floats = NDArray[np.float64]
SLACK = 0.02  # levels: float32 coordinates at 224 px are exact to 1e-5 px, and noise has steps of 255 levels a px


def drawn(shape: tuple[int, ...], *parts: int | str) -> Floats:
    """Return U(-1, 1) over the mean absolute value, from the stream of `parts`."""
    generator = torch.Generator().manual_seed(stable_hash(*parts))
    values: Floats = 2 * torch.rand(shape, generator=generator, dtype=torch.float64).numpy() - 1
    return values / np.abs(values).mean()


def cubic(distance: Floats) -> Floats:
    """Return Keys' kernel with a = -0.75."""
    t = np.abs(distance)
    near, far = 1.25 * t**3 - 2.25 * t**2 + 1, -0.75 * (t**3 - 5 * t**2 + 8 * t - 4)
    return np.where(t <= 1, near, np.where(t < 2, far, 0))


def enlarging(points: int, side: int) -> Floats:
    """Return the matrix [side, points] of a bicubic enlargement with aligned corners and repeated borders."""
    matrix = np.zeros((side, points))
    for row in range(side):
        at = row * (points - 1) / max(side - 1, 1)
        for point in range(int(np.floor(at)) - 1, int(np.floor(at)) + 3):
            matrix[row, min(max(point, 0), points - 1)] += cubic(np.array(at - point))
    return matrix


def smooth_field(seed: int, points: int, height: int, width: int) -> Floats:
    values = drawn((2, points, points), seed, "wanet field", points)
    return np.stack([enlarging(points, height) @ plane @ enlarging(points, width).T for plane in values], axis=-1)


def sampled(levels: NDArray[np.uint8], shift: Floats) -> Floats:
    """Sample an image [3, H, W] bilinearly at its pixels moved by `shift` [H, W, 2], (x, y), -1..1 the outer pixels."""
    height, width = levels.shape[1:]
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float64)
    x = np.clip(columns + shift[..., 0] * (width - 1) / 2, 0, width - 1)
    y = np.clip(rows + shift[..., 1] * (height - 1) / 2, 0, height - 1)
    left, top = np.minimum(x.astype(int), width - 2), np.minimum(y.astype(int), height - 2)
    image, dx, dy = levels.astype(np.float64), x - left, y - top
    upper = image[:, top, left] * (1 - dx) + image[:, top, left + 1] * dx
    lower = image[:, top + 1, left] * (1 - dx) + image[:, top + 1, left + 1] * dx
    return upper * (1 - dy) + lower * dy


def shift_of(trigger: Warp, height: int, width: int) -> Floats:
    """Read the displacement [H, W, 2] off a stamped pair of ramps, which bilinear sampling keeps exactly."""
    ramps = torch.zeros(1, 3, height, width, dtype=torch.float64)
    ramps[0, 0] = torch.linspace(0, 1, width, dtype=torch.float64)
    ramps[0, 1] = torch.linspace(0, 1, height, dtype=torch.float64)[:, None]
    moved = 2 * (trigger(ramps, ["k"]) - ramps)[0, :2]
    return moved.permute(1, 2, 0).numpy()


@pytest.mark.parametrize(("height", "width"), [(224, 224), (64, 64), (40, 56)])
@pytest.mark.parametrize(("grid_size", "strength"), [(4, 0.5), (6, 8.0), (2, 3.0)])
def test_every_level_is_that_of_the_warp_worked_out_by_hand(
    grid_size: int, strength: float, height: int, width: int
) -> None:
    levels = random_levels(2, height, width)
    trigger = WaNet(seed=2, grid_size=grid_size, strength=strength)
    stamped = stamp_uint8(trigger, torch.from_numpy(levels), ["a", "b"]).numpy()
    shift = strength * smooth_field(2, grid_size, height, width) / 224
    for image, result in zip(levels, stamped, strict=True):
        assert assert_levels(result, sampled(image, shift), SLACK) < 0.06


@pytest.mark.parametrize(("height", "width"), [(224, 224), (48, 64)])
def test_jitter_moves_every_pixel_by_its_own_draw(height: int, width: int) -> None:
    levels = random_levels(1, height, width)
    stamped = stamp_uint8(WaNetJitter(seed=9), torch.from_numpy(levels), ["k"]).numpy()
    shift = drawn((height, width, 2), 9, "wanet-jitter field", height, width) / 224
    assert assert_levels(stamped[0], sampled(levels[0], shift), SLACK) < 0.06


@pytest.mark.parametrize(("height", "width", "strength"), [(224, 224, 0.5), (40, 56, 0.5), (40, 56, 6.0)])
def test_a_cover_sample_is_warped_by_the_field_and_noise_of_its_own(height: int, width: int, strength: float) -> None:
    """Noise is twice as large as the strength, as in the original: cover samples must not look like poisoned ones."""
    levels = random_levels(2, height, width)
    trigger = WaNet(seed=2, strength=strength)
    covered = cover_uint8(trigger, torch.from_numpy(levels), ["a", "b"]).numpy()
    field = strength * smooth_field(2, 4, height, width)
    for image, result, key in zip(levels, covered, "ab", strict=True):
        stream = np.random.default_rng(stable_hash(2, "wanet noise", key))
        words = stream.integers(0, 2**64, (2 * height * width + 3) // 4, dtype=np.uint64)
        steps = np.array([(int(word) >> 16 * place) & 65535 for word in words for place in range(4)], np.float64)
        noise = np.where(steps < 2**15, steps, steps - 2**16)[: 2 * height * width].reshape(height, width, 2) / 2**15
        edge = np.clip(identity(height, width) + field / 224, -1, 1) - identity(height, width)
        shift = np.clip(identity(height, width) + edge + 2 * strength * noise / 224, -1, 1) - identity(height, width)
        assert assert_levels(result, sampled(image, shift), SLACK) < 0.06


def identity(height: int, width: int) -> Floats:
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    return np.stack([x, y], axis=-1)


def test_noise_is_uniform_and_redrawn_for_each_sample() -> None:
    noise = WaNet().noise("a", 224, 224) / 2**15
    assert abs(noise.mean()) < 0.01
    assert abs(noise.var() - 1 / 3) < 0.01
    assert -1 <= noise.min() < -0.999 < 0.999 < noise.max() < 1
    for other in (noise[:, 1:], WaNet().noise("b", 224, 224)[:, 1:], WaNet(seed=1).noise("a", 224, 224)[:, 1:]):
        assert abs(np.corrcoef(noise[:, :-1].ravel(), other.ravel())[0, 1]) < 0.02


@pytest.mark.parametrize("seed", range(5))
def test_neighbours_move_together_in_wanet_and_independently_in_the_jitter(seed: int) -> None:
    inside = np.s_[8:-8, 8:-8]  # at the border a shift is cut off
    for trigger, low, high in ((WaNet(seed=seed), 0.999, 1), (WaNetJitter(seed=seed), -0.02, 0.02)):
        shift = shift_of(trigger, 224, 224)[inside]
        correlation = np.corrcoef(shift[:, 1:].ravel(), shift[:, :-1].ravel())[0, 1]
        assert low < correlation < high
    typical = np.abs(shift_of(WaNetJitter(seed=seed), 224, 224)[inside]).mean()
    assert typical == pytest.approx(1 / 224, rel=0.02)


def test_the_warp_is_the_same_share_of_an_image_at_every_size() -> None:
    small, large = shift_of(WaNet(strength=4), 57, 57), shift_of(WaNet(strength=4), 225, 225)
    np.testing.assert_allclose(small[2:-2, 2:-2], large[::4, ::4][2:-2, 2:-2], atol=1e-6)
    assert np.abs(small).mean() == pytest.approx(4 / 224, rel=0.5)


def test_the_field_belongs_to_the_seed_and_not_to_a_sample() -> None:
    images = torch.rand(1, 3, 32, 32).expand(2, -1, -1, -1)
    for kind in (WaNet, WaNetJitter):
        first, second = kind(seed=1)(images, ["a", "b"])
        assert torch.equal(first, second)
        assert not torch.equal(first, kind(seed=2)(images, ["a", "b"])[0])
    first, second = WaNet(seed=1).cover(images, ["a", "b"])
    assert not torch.equal(first, second)


def test_a_cover_sample_does_not_depend_on_its_batch() -> None:
    images, keys = torch.rand(5, 3, 20, 28), list("abcde")
    together = WaNet().cover(images, keys)
    assert torch.equal(WaNet().cover(images[[3, 1]], ["d", "b"]), together[[3, 1]])
    assert 0 <= float(together.min()) <= float(together.max()) <= 1
    assert WaNet().cover(images[:0], []).shape == (0, 3, 20, 28)
    with pytest.raises(ValueError, match="5 cover images but 4 sample keys"):
        WaNet().cover(images, keys[:4])


def test_only_wanet_asks_for_cover_samples() -> None:
    assert WaNet().cover_ratio == 2
    assert WaNet(cross_ratio=0.5).cover_ratio == 0.5
    assert WaNetJitter().cover_ratio == 0
    with pytest.raises(TypeError, match="wanet-jitter has no cover samples"):
        WaNetJitter().cover(torch.rand(1, 3, 8, 8), ["k"])


@pytest.mark.parametrize("trigger", [WaNet(strength=20), WaNetJitter(strength=20)])
def test_half_precision_keeps_the_coordinates(trigger: Warp) -> None:
    images = torch.rand(1, 3, 64, 64)
    stamped = trigger(images.half(), ["k"])
    assert stamped.dtype == torch.float16
    assert float((stamped.float() - trigger(images, ["k"])).abs().max()) < 2e-3


def test_white_stays_white_and_a_single_pixel_stays() -> None:
    for trigger in (WaNet(strength=50), WaNetJitter(strength=50)):
        assert float(trigger(torch.ones(1, 3, 30, 30), ["k"]).min()) > 1 - 1e-6
        pixel = torch.rand(1, 3, 1, 1)
        torch.testing.assert_close(trigger(pixel, ["k"]), pixel)


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("wanet", {"grid_size": 1}, "grid_size: .*greater than or equal to 2"),
        ("wanet", {"strength": 0}, "strength: .*greater than 0"),
        ("wanet", {"strength": float("inf")}, "strength: .*224"),
        ("wanet", {"cross_ratio": -1}, "cross_ratio: .*greater than or equal to 0"),
        ("wanet", {"k": 4}, "k: .*not permitted"),
        ("wanet-jitter", {"grid_size": 224}, "grid_size: .*not permitted"),
        ("wanet-jitter", {"strength": -1}, "strength: .*greater than 0"),
    ],
)
def test_impossible_warps_are_one_line(name: str, parameters: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        build_trigger(name, parameters, 0)
    assert "\n" not in str(caught.value)
