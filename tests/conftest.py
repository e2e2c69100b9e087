"""Set before anything imports Ray, which reads its environment then; and MLflow's quiet."""

import os
from collections.abc import Iterator

import pytest

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAY_worker_niceness", "0")  # at Ray's own 15 the workers starve beside any other work

from tbar_ray.campaign.ray_environment import prepare

prepare("local")


@pytest.fixture(scope="module")
def local_ray() -> Iterator[None]:
    """A local Ray for the tests of a file."""
    from tbar_ray.campaign.cluster import ray_session
    from tests.campaign.specs import spec

    with ray_session("local", spec()):
        yield
