"""Parameters of runs by their paths."""

from __future__ import annotations

from tbar_ray.tracking.run_parameters import flat


def test_paths_that_mlflow_could_not_tell_apart_are_told_apart() -> None:
    attacks = {"a|b": {"rate": 0.1}, "a<b": {"rate": 0.2}, "a_b": {"rate": 0.3}}
    assert flat({"attacks": attacks}) == {
        "attacks.a_b.rate": "0.1",
        "attacks.a_b.rate_": "0.2",
        "attacks.a_b.rate__": "0.3",
    }
