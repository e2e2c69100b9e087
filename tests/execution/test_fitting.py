"""What the nodes of a cluster can hold."""

from __future__ import annotations

from typing import Any

import pytest

from tbar_ray.execution.fitting import misfit
from tbar_ray.spec.campaign import Resources

SMALL, LARGE = {"CPU": 4.0}, {"CPU": 16.0, "GPU": 2.0}


@pytest.mark.parametrize(
    ("asked", "nodes"),
    [
        ({}, [SMALL]),
        ({"training_cpus": 16}, [SMALL, LARGE]),
        ({"gpus": 0.25, "training_gpus": 2}, [LARGE]),
        ({"training_cpus": 3, "training_workers": 2}, [SMALL, SMALL]),
        ({"training_cpus": 1, "gpus": 0.6, "training_workers": 2}, [LARGE]),
        ({"training_cpus": 1, "gpus": 0.3, "training_workers": 6}, [LARGE]),
    ],
)
def test_what_fits_is_let_pass(asked: dict[str, Any], nodes: list[dict[str, float]]) -> None:
    assert misfit(Resources(**asked), nodes) is None


@pytest.mark.parametrize(
    ("asked", "nodes", "line"),
    [
        ({}, [], "resources: a training takes 2 CPUs, and there is no node with so much"),
        ({"training_cpus": 5}, [SMALL, SMALL], "resources: a training takes 5 CPUs, and there is no node with so much"),
        ({"gpus": 1}, [SMALL], "resources: a training takes 2 CPUs and 1 GPUs, and there is no node with so much"),
        (
            {"gpus": 0.5, "training_gpus": 0},
            [SMALL],
            "resources: a trial takes 1 CPUs and 0.5 GPUs, and there is no node with so much",
        ),
        (
            {"training_cpus": 3, "training_workers": 3},
            [SMALL, SMALL],
            "resources: a training takes 3 CPUs a worker, and there is room for 2 of 3 workers",
        ),
        (
            {"training_cpus": 1, "training_gpus": 0.6, "training_workers": 3},
            [LARGE],
            "resources: a training takes 1 CPUs and 0.6 GPUs a worker, and there is room for 2 of 3 workers",
        ),
    ],
)
def test_what_does_not_fit_is_one_line(asked: dict[str, Any], nodes: list[dict[str, float]], line: str) -> None:
    assert misfit(Resources(**asked), nodes) == line
