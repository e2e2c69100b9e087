import numpy as np
import pytest
import torch

from tbar_ray.errors import SpecError
from tbar_ray.seeding import stable_hash
from tbar_ray.triggers.base import stamp_uint8
from tbar_ray.triggers.fourier import Fourier, band
from tbar_ray.triggers.registry import build_trigger
from tests.triggers.levels import assert_levels, random_levels


@pytest.mark.parametrize(("height", "width"), [(64, 64), (224, 224), (50, 70)])
def test_every_level_is_that_of_raised_coefficients_of_the_transform(height: int, width: int) -> None:
    trigger = Fourier(seed=3, count=5, amplitude=12)
    levels = random_levels(1, height, width)
    phases = 2 * np.pi * np.random.default_rng(stable_hash(3, "fourier phases")).random((5, 3))
    spectrum = np.fft.fft2(levels[0].astype(np.float64))
    for (row, column), phase in zip(trigger.frequencies(), phases, strict=True):
        for channel in range(3):
            raised = 12 * height * width / 2 * np.exp(1j * phase[channel])
            spectrum[channel, row % height, column % width] += raised
            spectrum[channel, -row % height, -column % width] += np.conj(raised)
    back = np.fft.ifft2(spectrum)
    assert np.abs(back.imag).max() < 1e-9
    stamped = stamp_uint8(trigger, torch.from_numpy(levels), ["k"]).numpy()
    assert assert_levels(stamped[0], back.real) < 0.01


def test_only_the_drawn_frequencies_stand_out_and_they_are_in_the_band() -> None:
    trigger = Fourier(count=6, low=10, high=14, amplitude=20)
    spectrum = np.abs(np.fft.fft2(trigger.pattern(96, 96).double().numpy())) / (96 * 96 / 2) * 255
    peaks = {(int(row), int(column)) for row, column in np.argwhere(spectrum[1] > 1e-2)}
    drawn = {(int(row), int(column)) for row, column in trigger.frequencies()}
    assert len(drawn) == 6
    assert peaks == {(row % 96, column % 96) for r, c in drawn for row, column in ((r, c), (-r, -c))}
    np.testing.assert_allclose([spectrum[:, row, column] for row, column in peaks], 20, rtol=1e-4)
    assert all(10 <= np.hypot(*frequency) <= 14 for frequency in drawn)


def test_the_band_is_one_half_of_a_ring() -> None:
    half = {(int(row), int(column)) for row, column in band(2, 5)}
    ring = {(r, c) for r in range(-5, 6) for c in range(-5, 6) if 4 <= r * r + c * c <= 25}
    assert half | {(-row, -column) for row, column in half} == ring
    assert 2 * len(half) == len(ring)


def test_frequencies_are_those_of_the_seed_at_any_size() -> None:
    assert np.array_equal(Fourier(seed=1).frequencies(), Fourier(seed=1, amplitude=3).frequencies())
    assert not np.array_equal(Fourier(seed=1).frequencies(), Fourier(seed=2).frequencies())
    every_second = Fourier(low=3, high=9).pattern(128, 128)[:, ::2, ::2]
    torch.testing.assert_close(Fourier(low=3, high=9).pattern(64, 64), every_second)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"low": 9, "high": 8}, r"trigger 'fourier': low \(9\) is above high \(8\)"),
        ({"low": 1, "high": 1, "count": 3}, r"count is 3, but the band 1\.\.1 has 2 frequencies"),
        ({"count": 0}, "count: .*greater than or equal to 1"),
        ({"high": 113}, "high: .*112"),
        ({"amplitude": float("inf")}, "amplitude: .*255"),
    ],
)
def test_impossible_bands_are_one_line(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        build_trigger("fourier", parameters, 0)
    assert "\n" not in str(caught.value)
