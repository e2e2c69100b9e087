"""What identifies a backdoor."""

from __future__ import annotations

from typing import Any

from tbar_ray.stages.backdoor import Backdoor
from tbar_ray.triggers.registry import TRIGGERS


def backdoor(trigger: str) -> Backdoor:
    return Backdoor(trigger=trigger, parameters={}, seed=0, target="red circle")


def test_a_trigger_that_once_stamped_something_else_has_another_fingerprint(monkeypatch: Any) -> None:
    before = backdoor("badnets").fingerprint
    assert "trigger_version" not in backdoor("badnets").identity(), "names of older artifacts stay"
    monkeypatch.setattr(TRIGGERS["badnets"], "version", 2)
    assert backdoor("badnets").fingerprint != before
    assert backdoor("wanet").identity()["trigger_version"] == TRIGGERS["wanet"].version == 2
