"""What Ray Tune runs for a trial: it only waits, so its process imports neither torch nor the rest of this package."""

from __future__ import annotations

from typing import Any

import ray
from ray import tune


def wait_for_stages(config: dict[str, Any], coordinator: Any) -> None:
    """Wait until the stages of a trial have ended, and report why one failed (a Tune function)."""
    reason = ray.get(coordinator.wait_for.remote(config["trial"]))
    # Tune prints a result that has no number, whatever its verbosity
    tune.report({"reason": reason, "failed": int(reason is not None)})
