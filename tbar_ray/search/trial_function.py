"""What Ray Tune runs for a trial: it only waits, so its process imports neither torch nor anything of ours beside."""

from __future__ import annotations

from typing import Any

import ray
from ray import tune


def wait_for_trial(config: dict[str, Any], coordinator: Any) -> None:
    """Hand a trial's values over, wait, and report the objective (a Tune function)."""
    tune.report(ray.get(coordinator.ask.remote(config.get("values", config))))
