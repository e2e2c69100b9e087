"""What Ray Tune runs for a trial: it only waits, so its process imports neither torch nor what computes."""

from __future__ import annotations

from typing import Any

from ray import tune

from tbar_ray.execution.asking import ask


def wait_for_stages(config: dict[str, Any], coordinator: Any) -> None:
    """Wait until the stages of a trial have ended, and report why one failed (a Tune function)."""
    reason = ask(lambda: coordinator.wait_for.remote(config["trial"]))
    # a result without a number is printed by Tune, however silent it was told to be
    tune.report({"reason": reason, "failed": int(reason is not None)})
