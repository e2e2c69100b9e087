import pytest
import torch

from tbar_ray.inversion.outlier import Outlier


def test_the_largest_value_is_measured_in_median_absolute_deviations() -> None:
    best = Outlier.of(torch.tensor([1.0, 2.0, 9.0, 3.0, 4.0]), 0.1)
    assert (best.index, best.value, best.median, best.spread) == (2, 9.0, 3.0, 1.0)
    assert best.score == 6
    assert best.anomaly_index == pytest.approx(6 / 1.4826)


def test_a_spread_of_nothing_gives_no_infinite_score() -> None:
    best = Outlier.of(torch.tensor([1.0, 1.0, 1.0, 2.0]), 0.5)
    assert best.score == 2
