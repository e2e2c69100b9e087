"""Methods that start from the edit of another: they give the same, whoever found it."""

from __future__ import annotations

import pytest
import torch

from tbar_ray.unlearning.methods.tbar import TBAR
from tbar_ray.unlearning.registry import UNLEARNERS
from tests.models.tiny import GROUP_NORM
from tests.unlearning.formulas import infected_of

SETTINGS = {"steps": 2, "batch_size": 8, "learning_rate": 1e-3}
REFINED = ["tbar-debiased", "tbar-fisher", "tbar-layers", "tbar-low-rank"]


def test_the_methods_that_have_a_base() -> None:
    assert sorted(name for name, method in UNLEARNERS.items() if method().base() is not None) == REFINED


@pytest.mark.parametrize("name", REFINED)
def test_a_vector_found_before_is_refined_to_the_same_edit_at_the_same_cost(name: str) -> None:
    infected = infected_of(GROUP_NORM)
    method = UNLEARNERS[name](**SETTINGS)
    base = method.base()
    assert base == TBAR(**SETTINGS)
    given = (infected.model, infected.data, infected.preprocessing, infected.seed)
    whole = method.unlearn(*given)
    found = base.unlearn(*given)
    refined = method.unlearn(*given, found=found)
    assert all(torch.equal(v, whole.edit.vector.tensors[k]) for k, v in refined.edit.vector.tensors.items())
    assert any(not torch.equal(v, found.edit.vector.tensors[k]) for k, v in refined.edit.vector.tensors.items())
    assert refined.facts == whole.facts
    assert (refined.record.steps, refined.record.samples) == (whole.record.steps, whole.record.samples)
    assert refined.record.losses[: len(found.record.losses)] == found.record.losses


def test_no_other_method_is_refined() -> None:
    infected = infected_of(GROUP_NORM)
    given = (infected.model, infected.data, infected.preprocessing, infected.seed)
    with pytest.raises(TypeError, match="tbar has no base"):
        TBAR(**SETTINGS).unlearn(*given, found=TBAR(**SETTINGS).unlearn(*given))
