"""What a spec says of the search: axes, ranges, samplers."""

from __future__ import annotations

import math
from typing import Any

import pytest
from pydantic import ValidationError

from tbar_ray.spec.search import AxisRange
from tests.specs import spec


@pytest.mark.parametrize(
    "given",
    [{"low": 1, "high": 1}, {"low": 2, "high": 1}, {"low": 0, "high": 1, "log": True}, {"low": 1, "high": math.inf}],
)
def test_a_range_has_an_extent(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AxisRange.model_validate(given)


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ({"axes": {"forget.size": []}}, "axes.forget.size: the list is empty"),
        ({"axes": {"forget.size": {"low": 1, "high": 2}}}, "axes.forget.size: sampler 'grid' needs a list of values"),
        ({"sampler": "random"}, "trials: sampler 'random' needs a number of trials"),
        ({"sampler": "nsga2", "trials": 2}, "objective: sampler 'nsga2' searches a front"),
        ({"sampler": "tpe", "trials": 2, "study": "per method"}, "needs a sampler and a list of methods"),
        ({"study": "per method", "axes": {"method": ["tbar"]}}, "needs a sampler and a list of methods"),
        ({"prune": True}, "prune: a grid shows every cell"),
        ({"study": "per attack"}, "needs a sampler and a list of attacks on the axis 'attack'"),
        (
            {"sampler": "tpe", "trials": 2, "study": "per attack", "axes": {"source": ["blended"]}},
            "study: 'per attack' has no axis 'source'",
        ),
        (
            {"sampler": "tpe", "trials": 2, "study": "per attack", "mean_over": ["attack"]},
            "has a search for each attack, not a mean over them",
        ),
        ({"sampler": "tpe", "trials": 2, "objective": "infected_asr", "prune": True}, "only objective asr has a least"),
        ({"sampler": "nsga2", "trials": 2, "objective": "infected_asr"}, "sampler 'nsga2' searches a front"),
        ({"mean_over": ["attack"]}, "mean_over: 'attack' needs a sampler and a list of values"),
        ({"sampler": "tpe", "trials": 2, "mean_over": ["seed"]}, "mean_over: 'seed' needs a sampler and a list"),
        ({"sampler": "tpe", "trials": 2, "mean_over": ["attack"], "prune": True}, "not pruned against a mean"),
        (
            {
                "sampler": "tpe",
                "trials": 2,
                "study": "per method",
                "mean_over": ["method"],
                "axes": {"method": ["tbar"]},
            },
            "has a search for each method, not a mean over them",
        ),
        ({"sampler": "tpe", "trials": 0}, "greater than or equal to 1"),
        ({"concurrency": 0}, "give a whole number of 1 or more, or auto"),
        ({"concurrency": "many"}, "give a whole number of 1 or more, or auto"),
        ({"sampler": "tpe", "trials": 2, "concurrency": "auto"}, "concurrency: what a sampler proposes depends on it"),
    ],
)
def test_a_search_that_makes_no_sense_is_refused(search: dict[str, Any], message: str) -> None:
    axes = {"attack": ["badnets"], **search.get("axes", {})}
    with pytest.raises(ValidationError, match=message):
        spec(search={**search, "axes": axes})


def test_an_axis_is_a_list_of_anything_or_a_range() -> None:
    axes = {"attack": ["badnets"], "alpha": [0.5, [0, 1]], "seed": {"low": 1, "high": 9}}
    made = spec(search={"sampler": "random", "trials": 2, "axes": axes}).search
    assert made.axes["alpha"] == [0.5, [0, 1]]
    assert made.axes["seed"] == AxisRange(low=1, high=9)
