"""Tags of runs: where they come from, who started them, and with which versions."""

from __future__ import annotations

import getpass
import os
import platform
from contextlib import suppress
from importlib.metadata import version

from tbar_ray import __version__
from tbar_ray.origin import command, commit

FINGERPRINT = "tbar.fingerprint"
CAMPAIGN = "tbar.campaign"
"""The fingerprint of the campaign that a trial or a training is of."""
LAUNCHED = "tbar.launched"
"""Of an experiment: when a campaign was launched last, in seconds since the epoch; `CAMPAIGN` says which."""
KIND = "tbar.kind"
"""`campaign`, `trial` or `training`."""
PARENT = "mlflow.parentRunId"
DESCRIPTION = "mlflow.note.content"
PACKAGES = ("ray", "torch", "open_clip_torch", "webdataset", "mlflow", "optuna", "numpy")
"""Versions of these are tags of the campaign's run, beside those of Python and of this package."""
JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Set by Ray in the driver of a job."""


def environment() -> dict[str, str]:
    """Versions of what a campaign is computed with."""
    tags = {f"version.{package}": version(package) for package in PACKAGES}
    tags["version.tbar-ray"] = __version__  # its metadata are missing where a source tree is run without installation
    tags["version.python"] = platform.python_version()
    return tags


def origin() -> dict[str, str]:
    """Who started a run, with which command, and the commit of this code: MLflow's columns User, Source, Version."""
    tags = {
        "mlflow.source.name": command(),
        "mlflow.source.type": "JOB" if JOB in os.environ else "LOCAL",
    }
    with suppress(KeyError, OSError):  # in a container, a user may have no name
        tags["mlflow.user"] = getpass.getuser()
    if (found := commit()) is not None:
        tags["mlflow.source.git.commit"] = found
    return tags
