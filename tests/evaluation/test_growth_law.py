"""The law of growth is recovered from data that a known law makes, and its interval covers it."""

from __future__ import annotations

from math import inf, isnan, log

import numpy as np
import pytest

from tbar_ray.errors import DataError
from tbar_ray.evaluation.growth_law import GrowthLaw, fit_growth_law

SIZES = (5_000, 20_000, 80_000, 320_000, 1_280_000)


def law_of(half: float, slope: float, samples: float) -> float:
    """Return 1 / (1 + (half / n)^slope): the law, written another way."""
    return float(1 / (1 + (half / samples) ** slope))


def made(half: float = 50_000, slope: float = 0.8, noise: float = 0.0, seeds: int = 3, draw: int = 0) -> GrowthLaw:
    random = np.random.default_rng(draw)
    cells = [(n, s) for n in SIZES for s in range(seeds)]
    kept = [law_of(half, slope, n) + noise * random.normal() for n, _ in cells]
    return fit_growth_law([n for n, _ in cells], kept, [s for _, s in cells])


@pytest.mark.parametrize(("half", "slope"), [(50_000, 0.8), (2_000, 0.4), (900_000, 2.0), (50_000, -0.5)])
def test_a_law_without_noise_is_recovered_and_so_is_what_lies_beyond(half: float, slope: float) -> None:
    law = made(half, slope)
    assert law.slope == pytest.approx(slope, rel=1e-4)
    far = [law_of(half, slope, n) for n in (*SIZES, 12_800_000_000)]
    assert law.kept([*SIZES, 12_800_000_000]) == pytest.approx(far, rel=1e-4)
    assert law.spread == pytest.approx(0, abs=1e-6)
    low, high = law.interval([100_000])
    assert low[0] == pytest.approx(high[0], abs=1e-4)
    assert low[0] == pytest.approx(law_of(half, slope, 100_000), abs=1e-4)


def test_where_little_is_lost_the_loss_is_a_power_of_the_samples() -> None:
    law = made(slope=0.8)
    lost = 1 - law.kept([1e9, 1e10])
    assert lost[0] / lost[1] == pytest.approx(10**0.8, rel=1e-3)


def test_the_samples_that_a_share_needs_invert_the_law() -> None:
    law = made(half=50_000, slope=0.8)
    assert law.needed(0.5) == pytest.approx(50_000, rel=1e-3)
    assert law.kept(law.needed(0.95)) == pytest.approx(0.95)
    low, high = law.needed_interval(0.5)
    assert low == pytest.approx(high, rel=1e-2)


def test_a_share_that_does_not_grow_is_never_reached() -> None:
    law = made(slope=-0.5)
    assert law.needed(0.9) == inf
    assert law.needed_interval(0.9) == (inf, inf)
    flat = fit_growth_law([*SIZES], [0.9] * 5, [0] * 5)
    assert flat.kept([1e10]) == pytest.approx(0.9, abs=1e-3)


def test_with_noise_the_interval_covers_the_truth_in_most_campaigns() -> None:
    truth = law_of(50_000, 0.8, 100_000)
    covered = 0
    for draw in range(12):
        low, high = made(noise=0.05, draw=draw).interval([100_000])
        assert low[0] < high[0]
        covered += bool(low[0] <= truth <= high[0])
    assert covered >= 8


def test_the_interval_widens_away_from_the_data_and_with_noise() -> None:
    def width(law: GrowthLaw, samples: float) -> float:
        low, high = law.interval([samples])
        return float(high[0] - low[0])

    noisy = made(slope=0.3, noise=0.05)
    assert width(noisy, 1e8) > width(noisy, 80_000) > width(made(slope=0.3, noise=0.005), 80_000) > 0


def test_the_order_of_measurements_does_not_matter() -> None:
    random = np.random.default_rng(0)
    samples, seeds = [n for n in SIZES for _ in range(2)], [0, 1] * len(SIZES)
    kept = list(random.uniform(0.3, 0.9, len(samples)))
    turned = list(reversed(range(len(samples))))
    first = fit_growth_law(samples, kept, seeds)
    second = fit_growth_law([samples[i] for i in turned], [kept[i] for i in turned], [seeds[i] for i in turned])
    assert (first.level, first.slope) == (second.level, second.slope)
    assert np.array_equal(first.resampled, second.resampled)


def test_a_single_seed_resamples_sizes_alone_and_shares_may_lie_outside_the_law() -> None:
    law = fit_growth_law([*SIZES], [-0.02, 0.2, 0.6, 0.9, 1.01], [0] * 5)
    assert law.slope > 0
    low, high = law.interval([80_000])
    assert 0 < low[0] < high[0] < 1
    assert not isnan(law.spread)


def test_a_jump_has_a_greatest_slope() -> None:
    law = fit_growth_law([*SIZES], [0.0, 0.0, 1.0, 1.0, 1.0], [0] * 5)
    assert 1 < law.slope <= 20
    assert log(20_000) < log(law.needed(0.5)) < log(80_000)


@pytest.mark.parametrize(
    ("samples", "kept", "message"),
    [
        ([1, 2, 3, 3], [0.5] * 4, "3 numbers of samples; at least 4"),
        ([1, 2, 3, 4], [0.5, 0.5, 0.5, float("nan")], "finite"),
    ],
)
def test_what_no_law_can_be_fitted_to_is_refused(samples: list[int], kept: list[float], message: str) -> None:
    with pytest.raises(DataError, match=message):
        fit_growth_law(samples, kept, [0] * 4)
