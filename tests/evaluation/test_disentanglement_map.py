import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import RegularGridInterpolator

from tbar_ray.errors import DataError
from tbar_ray.evaluation.disentanglement_map import DisentanglementMap, xi

ALPHAS = (-2.0, -0.5, 0.0, 1.0)
ANSWERS = st.integers(1, 4).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, 3), st.integers(1, 3)))


@given(ANSWERS, st.integers(0, 1000))
def test_xi_of_predictions_is_the_share_that_differs(sizes: tuple[int, int, int], seed: int) -> None:
    n, n_c, n_t = sizes
    rng = np.random.default_rng(seed)
    reference_c, reference_t = rng.integers(-1, 4, (n_c, n)), rng.integers(-1, 4, (n_t, n + 1))
    joint_c, joint_t = rng.integers(-1, 4, (n_c, n_t, n)), rng.integers(-1, 4, (n_c, n_t, n + 1))
    clean, triggered = xi(reference_c, joint_c, reference_t, joint_t)
    assert clean.shape == triggered.shape == (n_c, n_t)
    for i in range(n_c):
        for j in range(n_t):
            for term, pairs in (
                (clean, list(zip(reference_c[i], joint_c[i, j], strict=True))),
                (triggered, list(zip(reference_t[j], joint_t[i, j], strict=True))),
            ):
                if any(-1 in pair for pair in pairs):
                    assert np.isnan(term[i, j])
                else:
                    assert term[i, j] == sum(one != other for one, other in pairs) / len(pairs)


def grid(seed: int = 0) -> DisentanglementMap:
    clean, triggered = np.random.default_rng(seed).random((2, 3, 4))
    return DisentanglementMap((-1.0, 0.0, 2.0), ALPHAS, clean, triggered)


@given(st.floats(-1, 2), st.floats(-2, 1), st.sampled_from(["linear", "nearest"]))
def test_a_point_between_cells_is_scipys(alpha_c: float, alpha_t: float, method: str) -> None:
    own = grid()
    expected = RegularGridInterpolator((own.alphas_c, own.alphas_t), own.total, method=method)
    near_a_middle = any(
        abs(abs(alpha - low) - abs(high - alpha)) < 1e-6
        for alphas, alpha in ((own.alphas_c, alpha_c), (own.alphas_t, alpha_t))
        for low, high in pairwise(alphas)
    )
    if not (method == "nearest" and near_a_middle):
        found = own.at(alpha_c, alpha_t, method)  # type: ignore[arg-type]
        assert found == pytest.approx(float(expected((alpha_c, alpha_t))), abs=1e-9)


def test_a_cell_is_looked_up_as_it_is() -> None:
    own = grid()
    for i, alpha_c in enumerate(own.alphas_c):
        for j, alpha_t in enumerate(own.alphas_t):
            assert own.at(alpha_c, alpha_t) == own.at(alpha_c, alpha_t, "nearest") == own.total[i, j]
    alone = DisentanglementMap((1.0,), (2.0,), np.array([[0.25]]), np.array([[0.5]]))
    assert alone.at(1.0, 2.0) == 0.75


@pytest.mark.parametrize(("alpha_c", "alpha_t", "name"), [(-1.1, 0, "α_c"), (2.1, 0, "α_c"), (0, 1.5, "α_t")])
def test_points_outside_are_refused(alpha_c: float, alpha_t: float, name: str) -> None:
    with pytest.raises(DataError, match=f"{name} = .* lies outside"):
        grid().at(alpha_c, alpha_t)


def test_a_map_goes_to_json_and_back() -> None:
    own = grid()
    again = DisentanglementMap.from_dict(json.loads(json.dumps(own.to_dict())))
    assert (again.alphas_c, again.alphas_t) == (own.alphas_c, own.alphas_t)
    np.testing.assert_array_equal(again.clean_term, own.clean_term)
    np.testing.assert_array_equal(again.triggered_term, own.triggered_term)


@pytest.mark.parametrize(
    ("alphas_c", "alphas_t", "shape", "message"),
    [
        ((), (0.0,), (0, 1), "0 × 1 coefficients"),
        ((0.0, 1.0), (0.0,), (1, 2), r"2 × 1 coefficients, but terms of shape \(1, 2\)"),
        ((1.0, 0.0), (0.0,), (2, 1), "α_c must be finite and ascending"),
        ((0.0,), (1.0, 1.0), (1, 2), "α_t must be finite and ascending"),
        ((float("nan"),), (1.0,), (1, 1), "α_c must be finite and ascending"),
    ],
)
def test_ill_formed_maps_are_refused(
    alphas_c: tuple[float, ...], alphas_t: tuple[float, ...], shape: tuple[int, int], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        DisentanglementMap(alphas_c, alphas_t, np.zeros(shape), np.zeros(shape))
