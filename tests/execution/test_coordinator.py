"""What the coordinator needs before anything runs; all else is in test_coordinator_ray.py."""

from __future__ import annotations

import subprocess
import sys


def test_the_processes_that_only_wait_for_stages_import_no_torch() -> None:
    """A trial's process imports the coordinator as well, whose handle it has; each start would cost two seconds."""
    modules = "tbar_ray.execution.coordinator, tbar_ray.search.trial_function"
    program = f"import sys, {modules}; assert 'torch' not in sys.modules, 'torch'"
    subprocess.run([sys.executable, "-c", program], check=True)
