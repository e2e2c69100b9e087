"""What a launch asks for before its trials do."""

from __future__ import annotations

import pytest

from tbar_ray.campaign.launch import first_stages
from tbar_ray.planning.foundation import lay_foundation
from tbar_ray.planning.trial import grid_trials
from tests.specs import spec


@pytest.mark.parametrize(("concurrency", "expected"), [(1, 1), (2, 2), (9, 4)])
def test_a_grid_begins_with_the_ends_of_as_many_trials_as_run_at_a_time(concurrency: int, expected: int) -> None:
    axes = {"attack": ["badnets", "blended"], "forget_size": [10, 20]}
    made = spec(search={"axes": axes, "concurrency": concurrency})
    base = lay_foundation(made)
    found = first_stages(made, base, grid_trials(made))
    assert [stage.kind for stage in found] == ["path"] * expected
    assert len({stage.fingerprint for stage in found}) == expected


def test_a_search_begins_with_the_clean_model() -> None:
    made = spec(
        search={"sampler": "tpe", "trials": 4, "axes": {"attack": ["badnets"], "alpha": {"low": 0.0, "high": 1.0}}}
    )
    base = lay_foundation(made)
    (found,) = first_stages(made, base, None)
    assert found.fingerprint == base.clean.fingerprint


def test_a_search_over_given_weights_has_nothing_to_begin_with() -> None:
    made = spec(model={"architecture": "RN50", "pretrained": "openai"}, search={"sampler": "tpe", "trials": 2,
                "axes": {"attack": ["badnets"], "alpha": {"low": 0.0, "high": 1.0}}})  # fmt: skip
    assert first_stages(made, lay_foundation(made), None) == []
