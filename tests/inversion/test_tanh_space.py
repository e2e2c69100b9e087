import pytest
import torch

from tbar_ray.inversion.tanh_space import uniform, unit


def test_a_start_is_the_same_however_many_run_beside_it() -> None:
    assert torch.equal(uniform(0, "m", 1, (1, 4, 4))[0], uniform(0, "m", 3, (1, 4, 4))[0])
    assert not torch.equal(uniform(0, "m", 1, (1, 4, 4)), uniform(1, "m", 1, (1, 4, 4)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_of_a_start_are_uniform(dtype: torch.dtype) -> None:
    drawn = unit(uniform(0, "m", 64, (1, 8, 8), dtype))
    assert drawn.dtype == dtype
    assert float(drawn.mean()) == pytest.approx(0.5, abs=0.02)
    assert float(drawn.std()) > 0.28  # uniform: 1/√12


def test_no_parameter_leaves_the_interval() -> None:
    ends = unit(torch.tensor([-1e9, 0.0, 1e9]))
    assert ends.tolist() == [0.0, 0.5, 1.0]
