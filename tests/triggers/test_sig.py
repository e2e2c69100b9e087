import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tbar_ray.errors import SpecError
from tbar_ray.triggers.base import stamp_uint8
from tbar_ray.triggers.registry import build_trigger
from tbar_ray.triggers.sig import SIG, SIGBlended
from tests.triggers.levels import assert_levels, random_levels


def documented_wave(amplitude: float, frequency: float, width: int) -> NDArray[np.float64]:
    """Return the wave in levels, one value a column."""
    return np.array([amplitude * np.sin(2 * np.pi * frequency * j / width) for j in range(width)])


@pytest.mark.parametrize(("height", "width"), [(224, 224), (64, 64), (20, 33)])
@pytest.mark.parametrize(("amplitude", "frequency"), [(60, 6), (40, 6), (20, 2.5)])
def test_every_level_is_the_clipped_sum(amplitude: float, frequency: float, height: int, width: int) -> None:
    levels = random_levels(2, height, width)
    trigger = SIG(amplitude=amplitude, frequency=frequency)
    stamped = stamp_uint8(trigger, torch.from_numpy(levels), ["a", "b"]).numpy()
    # columns where the wave is ±amplitude/2 tie when that is half a level
    assert assert_levels(stamped, levels + documented_wave(amplitude, frequency, width)) < 0.05
    assert stamped.min() == 0
    assert stamped.max() == 255


@pytest.mark.parametrize(("height", "width"), [(224, 224), (64, 64), (20, 33)])
def test_every_level_is_the_clipped_mix(height: int, width: int) -> None:
    levels = random_levels(2, height, width)
    levels[0, :, :5] = 0
    stamped = stamp_uint8(SIGBlended(), torch.from_numpy(levels), ["a", "b"]).numpy()
    assert assert_levels(stamped, 0.8 * levels + 0.2 * documented_wave(60, 6, width)) < 0.05
    assert stamped[0].min() == 0


def test_the_wave_starts_at_zero_rises_and_has_six_periods_of_one_colour() -> None:
    grey = torch.full((1, 3, 4, 224), 0.5)
    change = (SIG()(grey, ["k"]) - grey)[0].double().numpy()
    assert np.array_equal(change, np.broadcast_to(change[0, 0], change.shape))
    wave = change[0, 0]
    assert wave[0] == 0 < wave[1] < wave[2]
    spectrum = np.abs(np.fft.rfft(wave)) / 112 * 255
    assert spectrum[6] == pytest.approx(60, abs=1e-3)
    assert np.delete(spectrum, 6).max() < 1e-3


@pytest.mark.parametrize("name", ["sig", "sig-blended"])
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"amplitude": 0}, "amplitude: .*greater than 0"),
        ({"amplitude": 256}, "amplitude: .*255"),
        ({"frequency": -1}, "frequency: .*greater than 0"),
        ({"frequency": float("nan")}, "frequency: "),
        ({"frequencies": 6}, "frequencies: .*; did you mean 'frequency'"),
    ],
)
def test_impossible_waves_are_one_line(name: str, parameters: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        build_trigger(name, parameters, 0)
    assert "\n" not in str(caught.value)
