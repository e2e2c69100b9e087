from __future__ import annotations

import torch

from tbar_ray.inversion.target import infer_target
from tbar_ray.triggers.proxy import Proxy
from tests.inversion.encoders import TARGET, subject


def corner(level: float) -> Proxy:
    keep, added = torch.ones(1, 16, 16), torch.zeros(3, 16, 16)
    keep[:, 12:, 12:], added[:, 12:, 12:] = 0.0, level
    return Proxy.of(keep=keep, added=added)


def test_the_class_that_gains_is_named_with_its_rate() -> None:
    found = infer_target(subject(8.0), corner(1.0))
    assert found.target == TARGET
    assert found.rate.value == 1.0
    assert found.shift > 0.5
    assert float(found.shares.sum()) == 0.0


def test_a_trigger_that_changes_no_answers_has_no_target() -> None:
    for made, trigger in ((subject(8.0), corner(0.0)), (subject(), Proxy.of(added=torch.zeros(3, 16, 16)))):
        found = infer_target(made, trigger)
        assert found.target is None
        assert found.shift < 0.1


def test_a_class_that_most_images_have_anyway_gains_nothing() -> None:
    made = subject()
    made.model.weight.data[4] += 1e3  # every image is answered with class 4
    assert infer_target(made, corner(1.0)).target is None
