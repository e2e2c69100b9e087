import pytest

from tbar_ray.inversion.invertune import InverTune
from tbar_ray.inversion.target import infer_target
from tests.inversion.planted import TARGET, subject

SEARCH = InverTune(patch_steps=30, steps=40, batch_size=16)


@pytest.mark.parametrize("target", [TARGET, 6])
def test_the_adversarial_patch_names_the_target_and_the_trigger_leads_there(target: int) -> None:
    planted = subject("patch", target, gain=20.0)
    found = SEARCH.invert(planted, 0)
    assert found.target == target
    assert found.score is not None
    assert found.score > 0.8
    assert found.facts["named"] is True
    assert found.trigger is not None
    assert infer_target(planted, found.trigger).target == target


def test_the_mask_fades_from_a_whole_picture() -> None:
    planted = subject("patch", gain=20.0)
    short, long = (SEARCH.model_copy(update={"steps": steps}).invert(planted, 0) for steps in (2, 40))
    assert float(str(short.facts["mask"])) > 0.95
    assert float(str(long.facts["mask"])) < 0.75


def test_answers_of_a_clean_model_shift_nowhere() -> None:
    found = SEARCH.invert(subject("clean"), 0)
    assert found.score is not None
    assert found.score < 0.1
    assert found.facts["named"] is False
    assert (found.steps, found.images) == (70, 70 * 16)
