"""Set before anything imports Ray, which reads its environment then; and MLflow's quiet."""

import os
from collections.abc import Iterator

import fsspec
import pytest

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAY_worker_niceness", "0")  # at Ray's own 15 the workers starve beside any other work

from tbar_ray.execution.ray_environment import prepare
from tests.buckets import new_bucket

prepare("local")


@pytest.fixture(scope="module")
def local_ray() -> Iterator[None]:
    """A local Ray for the tests of a file."""
    from tbar_ray.execution.cluster import ray_session
    from tests.specs import spec

    with ray_session("local", spec()):
        yield


@pytest.fixture(scope="session")
def s3() -> Iterator[None]:
    """While it is in use, `s3://` means a server on loopback that speaks S3."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    settings = {"ENDPOINT_URL": f"http://{host}:{port}", "ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**settings, "DEFAULT_REGION": "us-east-1"}.items():
            patch.setenv(f"AWS_{name}", value)
        yield
        fsspec.filesystem("s3").clear_instance_cache()
    server.stop()


@pytest.fixture(params=["memory", "s3"])
def bucket(request: pytest.FixtureRequest) -> str:
    """The URL of an empty bucket, in this process' memory or on S3."""
    if request.param == "s3":
        request.getfixturevalue("s3")
    return new_bucket(request.param)
