from __future__ import annotations

import numpy as np
import pytest

from tbar_ray.unlearning.methods.tbar import TBAR
from tbar_ray.unlearning.methods.tbar_low_rank import LowRankTBAR, truncated
from tests.models.tiny import WIDE
from tests.unlearning.formulas import infected_of, noise
from tests.unlearning.reference import NEAR, as_change, distance


@pytest.mark.parametrize("share", [0.01, 0.1])
def test_the_edit_is_the_vector_with_the_largest_singular_values_of_every_matrix(share: float) -> None:
    infected = infected_of(WIDE)
    settings = {"steps": 4, "batch_size": 8, "learning_rate": 1e-4}
    found = LowRankTBAR(**settings, rank_share=share).find(infected)
    infected.restore()
    plain = as_change(TBAR(**settings).find(infected).edit.vector)
    expected = dict(plain)
    for name, value in plain.items():
        if value.ndim >= 2:
            u, s, vh = np.linalg.svd(value.reshape(len(value), -1), full_matrices=False)
            s[max(1, int(np.ceil(share * len(s)))) :] = 0
            expected[name] = ((u * s) @ vh).reshape(value.shape)
    assert distance(found.edit.vector, expected) < NEAR
    assert distance(found.edit.vector, plain) > 4 * NEAR
    norms = [np.sqrt(sum((value**2).sum() for value in values.values())) for values in (expected, plain)]
    assert found.facts["norm_kept"] == pytest.approx(norms[0] / norms[1], rel=1e-3)


@pytest.mark.parametrize(("share", "rank"), [(0.01, 1), (0.5, 3), (1.0, 6)])
def test_a_kernel_becomes_the_best_matrix_of_its_rank(share: float, rank: int) -> None:
    kernel = noise(6, 2, 3, 3)
    u, s, vh = np.linalg.svd(kernel.double().numpy().reshape(6, -1), full_matrices=False)
    expected = (u[:, :rank] * s[:rank]) @ vh[:rank]
    assert truncated(kernel, share).reshape(6, -1).numpy() == pytest.approx(expected, abs=1e-5)
