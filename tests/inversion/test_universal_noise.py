from __future__ import annotations

import pytest
import torch

from tbar_ray.errors import DataError
from tbar_ray.inversion.judge import judge
from tbar_ray.inversion.universal_noise import UniversalNoise, _norm, random_noise
from tests.inversion.encoders import CLASSES, TARGET, subject

SEARCH = UniversalNoise(norm=0.06, steps=30, refine=20)


def test_a_backdoor_is_the_easiest_class_by_far() -> None:
    found = SEARCH.invert(subject(8.0), 0)
    assert found.target == TARGET
    assert found.facts["refined rate"] == 1.0
    assert len(found.by_class) == CLASSES
    clean = SEARCH.invert(subject(), 0)
    assert clean.score is not None
    assert found.score is not None
    assert found.score > clean.score


def test_noise_keeps_its_norm() -> None:
    found = SEARCH.invert(subject(8.0), 0)
    assert found.trigger is not None
    grey = torch.full((1, 3, 16, 16), 0.5)
    change = found.trigger(grey, ["a"]) - grey
    assert float(change.pow(2).mean().sqrt()) == pytest.approx(0.06, rel=0.1)
    assert torch.allclose(_norm(random_noise(3, 8, 0.02, 0)).flatten(), torch.full((3,), 0.02))


def test_noise_of_a_class_does_not_depend_on_the_others() -> None:
    assert torch.equal(random_noise(5, 8, 0.1, 0)[2], random_noise(3, 8, 0.1, 0)[2])


def test_chunks_do_not_change_the_result() -> None:
    whole, parts = (SEARCH.model_copy(update={"at_once": size}).invert(subject(8.0), 0) for size in (512, 16))
    assert whole.target == parts.target
    assert whole.by_class == pytest.approx(parts.by_class, abs=1e-4)


def test_the_loss_falls_and_is_reported() -> None:
    told: list[tuple[int, int, float]] = []
    SEARCH.invert(subject(8.0), 0, lambda step, steps, loss: told.append((step, steps, loss)))
    assert [step for step, _, _ in told] == list(range(1, 51))
    assert {steps for _, steps, _ in told} == {50}
    assert told[29][2] < told[0][2]  # of all classes
    assert told[-1][2] <= told[30][2]  # of the easiest


def test_it_needs_classes() -> None:
    with pytest.raises(DataError, match="no text tower"):
        SEARCH.invert(subject(head=False), 0)


def test_a_perturbation_is_judged_by_rate_and_margin() -> None:
    made = subject(8.0)
    floats = made.images.float() / 255
    noise = torch.zeros(2, 3, 16, 16)
    noise[0, :, 12:, 12:] = 1.0
    with made.frozen():
        found = judge(made, floats, noise, torch.tensor([TARGET, TARGET]))
        cosines = made.embed(floats) @ made.classes.T
    assert found.rates[0] == 1.0
    own = cosines[:, TARGET]
    others = torch.cat((cosines[:, :TARGET], cosines[:, TARGET + 1 :]), 1).amax(1)
    assert float(found.rates[1]) == pytest.approx(float((own > others).float().mean()))
    assert float(found.margins[1]) == pytest.approx(float((own - others).mean()), abs=1e-6)
