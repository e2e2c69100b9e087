"""PSNR and SSIM against an independent computation, and what becomes of images that a trigger does not change."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage, stats
from torch import Tensor

from tbar_ray.errors import DataError
from tbar_ray.evaluation.visibility import CHUNK, Mean, Visibility, psnr, ssim, ssim_of_floats


def images(count: int, side: int = 24, seed: int = 0) -> Tensor:
    """Smooth random images, as photographs are."""
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.random((count, 3, side, side)), (0, 0, 2, 2), mode="wrap")
    return torch.from_numpy((255 * (smooth - smooth.min()) / np.ptp(smooth)).round().astype(np.uint8))


def noisy(clean: Tensor, levels: int) -> Tensor:
    rng = np.random.default_rng(1)
    noise = rng.integers(-levels, levels + 1, tuple(clean.shape))
    return torch.from_numpy((clean.numpy().astype(int) + noise).clip(0, 255).astype(np.uint8))


def ssim_of_channel(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """The definition of Wang et al. with SciPy's filter, cut to windows within the image."""

    def local(values: NDArray[np.float64]) -> NDArray[np.float64]:
        filtered: NDArray[np.float64] = ndimage.gaussian_filter(values, 1.5, truncate=5 / 1.5)
        return filtered[5:-5, 5:-5]

    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mx, my = local(x), local(y)
    vx, vy, vxy = local(x * x) - mx**2, local(y * y) - my**2, local(x * y) - mx * my
    whole = (2 * mx * my + c1) * (2 * vxy + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    return float(whole.mean())


@pytest.mark.parametrize("levels", [1, 8, 60])
def test_ssim_is_that_of_an_independent_computation(levels: int) -> None:
    clean = images(CHUNK + 3)
    stamped = noisy(clean, levels)
    expected = [
        np.mean([ssim_of_channel(x, y) for x, y in zip(one, other, strict=True)])
        for one, other in zip(clean.double().numpy(), stamped.double().numpy(), strict=True)
    ]
    assert ssim(clean, stamped).numpy() == pytest.approx(expected, abs=1e-12)


def test_psnr_is_ten_times_the_logarithm_of_the_peak_over_the_error() -> None:
    clean = torch.full((CHUNK + 1, 3, 8, 8), 100, dtype=torch.uint8)
    stamped = clean + 5
    stamped[-1] = clean[-1]
    stamped[-1, 0, 0, 0] = 0  # one value of 192, by 100 levels
    found = psnr(clean, stamped)
    assert found[:-1].tolist() == pytest.approx([20 * np.log10(255 / 5)] * CHUNK)
    assert float(found[-1]) == pytest.approx(10 * np.log10(255**2 * 192 / 100**2))


def test_differences_below_zero_do_not_wrap() -> None:
    dark, bright = torch.zeros(1, 3, 12, 12, dtype=torch.uint8), torch.full((1, 3, 12, 12), 255, dtype=torch.uint8)
    assert psnr(dark, bright).tolist() == psnr(bright, dark).tolist() == [0.0]


def test_ssim_of_floats_is_the_same_and_has_gradients() -> None:
    clean = images(3)
    stamped = (noisy(clean, 20).double() / 255).requires_grad_(True)
    found = ssim_of_floats(clean.double() / 255, stamped)
    torch.testing.assert_close(found, ssim(clean, noisy(clean, 20)))
    found.sum().backward()  # type: ignore[no-untyped-call]
    assert stamped.grad is not None
    assert bool(stamped.grad.any())


def test_images_too_small_for_the_window_have_a_smaller_one() -> None:
    clean = images(2, side=8)
    assert ssim(clean, clean).tolist() == [1.0, 1.0]
    assert bool((ssim(clean, noisy(clean, 40)) < 0.99).all())


def test_equal_images_are_counted_and_do_not_make_the_mean_infinite() -> None:
    clean = images(5)
    stamped = noisy(clean, 9)
    stamped[2] = clean[2]
    found = Visibility.of(clean, stamped)
    assert (found.images, found.unchanged) == (5, 1)
    assert found.psnr is not None
    assert found.psnr.n == 4
    assert found.psnr.value == pytest.approx(float(psnr(clean, stamped)[[0, 1, 3, 4]].mean()))
    assert found.ssim.n == 5
    assert float(ssim(clean, stamped)[2]) == 1.0
    assert str(found).endswith("(n = 5, 1 of them unchanged)")


def test_a_trigger_that_changes_no_image_has_no_number_but_is_shown_as_infinite() -> None:
    clean = images(3)
    found = Visibility.of(clean, clean.clone())
    assert (found.psnr, found.unchanged, found.ssim.value) == (None, 3, 1.0)
    assert str(found) == "PSNR ∞ dB, SSIM 1.000 (n = 3, 3 of them unchanged)"
    assert found.to_dict()["psnr"] is None


def test_a_mean_has_students_interval() -> None:
    values = torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64)
    found = Mean.of(values)
    low, high = stats.t.interval(0.95, 2, values.mean(), stats.sem(values.numpy()))
    assert (found.value, found.n, found.low, found.high) == pytest.approx((7 / 3, 3, low, high))
    assert Mean.of(values[:1]) == Mean(1.0, 1, None, None)


def test_what_cannot_be_compared_is_an_error() -> None:
    for clean, stamped in ((images(2), images(3)), (images(1)[:0], images(1)[:0])):
        with pytest.raises(DataError, match="visibility"):
            Visibility.of(clean, stamped)
