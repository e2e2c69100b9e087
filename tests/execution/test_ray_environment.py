from __future__ import annotations

import os
import subprocess
import sys

CODE = """
import os, sys
import tbar_ray.campaign.launch, tbar_ray.cli.campaign, tbar_ray.cli.results
import tbar_ray.report.expenses, tbar_ray.report.losses
from tbar_ray.execution.ray_environment import prepare
assert "ray" not in sys.modules
prepare("local")
print(os.environ["RAY_AUTH_MODE"], open(os.environ["RAY_AUTH_TOKEN_PATH"]).read())
"""


def test_what_is_imported_before_a_launch_starts_ray_leaves_it_to_set_a_token() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH")}
    told = subprocess.run(
        [sys.executable, "-c", CODE], env=environment, check=True, capture_output=True, text=True, timeout=120
    )
    mode, token = told.stdout.split()
    assert mode == "token"
    assert len(token) == 64
