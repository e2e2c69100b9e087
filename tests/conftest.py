"""Set before anything imports Ray, which reads its environment then; and MLflow's quiet."""

import gc
import os
import sys
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import fsspec
import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadFileScheduling

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAY_worker_niceness", "0")  # at Ray's own 15 the workers starve beside any other work

from tbar_ray.execution.ray_environment import prepare
from tests.buckets import new_bucket
from tests.kept import FOLDER

prepare("local")

# how long an example takes depends on what else the machine does
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_configure(config: pytest.Config) -> None:
    """Give the session a folder for what its processes share."""
    if not hasattr(config, "workerinput"):
        folder = TemporaryDirectory(prefix="tbar-tests-")
        os.environ[FOLDER] = folder.name
        config.add_cleanup(folder.cleanup)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Leave what is there before the first test out of garbage collection, which took a tenth of the tests' time."""
    gc.disable()  # what is imported stays
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_sessionfinish() -> None:
    """Let it be collected: libraries complain of what is left when Python ends."""
    gc.unfreeze()


@cache
def shares_ray(file: Path) -> bool:
    """Whether a file has tests that use `local_ray`."""
    return "local_ray" in file.read_text()


def group_of(file: Path) -> str:
    """The tests of a file run in one process, and so do those of all files that share a Ray.

    There are two such groups, of about equal time: campaigns, and all others. A third shares a model that is cleaned
    once, in `tests/onemodel/conftest.py`.
    """
    if file.parent.name == "onemodel":
        return "onemodel"
    if not shares_ray(file):
        return str(file)
    return "campaigns" if file.parent.name == "campaign" else "others"


@pytest.hookimpl(trylast=True)  # once those are left out that are not asked for
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests on Ray, which take longest, then with large files: what begins last is waited for."""
    sizes = Counter(group_of(item.path) for item in items)

    def place(item: pytest.Item) -> tuple[bool, int, str]:
        group = group_of(item.path)
        return item.get_closest_marker("ray") is None and not shares_ray(item.path), -sizes[group], group

    items.sort(key=place)


class FilesThatShareRay(LoadFileScheduling):  # type: ignore[misc]
    """Hands out whole groups of tests, in the order of their collection."""

    def __init__(self, config: pytest.Config, log: Any) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        return group_of(self.config.rootpath / super()._split_scope(nodeid))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling | None:
    return FilesThatShareRay(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def shared_ray() -> Iterator[ExitStack]:
    """Holds the Ray that files share, while there is one."""
    with ExitStack() as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def no_other_ray(request: pytest.FixtureRequest, shared_ray: ExitStack) -> None:
    """End the Ray that other files share before a file that does not use it: it may start its own."""
    if not shares_ray(request.path):
        shared_ray.close()


@pytest.fixture(scope="module")
def local_ray(shared_ray: ExitStack) -> None:
    """A local Ray. Files share it, since a start takes seconds: a test ends the actors that it made."""
    import ray

    from tbar_ray.execution.cluster import ray_session
    from tests.specs import spec

    if not ray.is_initialized():
        shared_ray.enter_context(ray_session("local", spec()))


@pytest.fixture(autouse=True)
def torch_draws_the_same() -> None:
    """What a test draws from torch's global state does not depend on the tests before it."""
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


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
