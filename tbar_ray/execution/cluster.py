"""Joining or starting Ray."""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import ray
from ray._private import ray_constants
from ray._private import utils as ray_utils

from tbar_ray.errors import SpecError, TbarError, first_line
from tbar_ray.execution.fitting import misfit, nodes
from tbar_ray.execution.reach import ADVICE, check_reachable
from tbar_ray.processors import processors
from tbar_ray.spec.campaign import CampaignSpec, Resources
from tbar_ray.store.temporary import MARK, end, short_place, temporary_folder

OBJECT_STORE_BYTES = 512 * 1024**2
"""Of a local Ray: batches in flight need a few tens of megabytes."""
LONGEST = 16
"""Characters of the path under which Ray may have its folder: its sockets' are 90 longer, and may have 107."""
LOOPBACK = "127.0.0.1"
SEVERAL_MACHINES = "ENABLE_RAY_CLUSTER"
"""Ray's setting that nodes on other machines may join, which is read from the environment when Ray is imported."""
DASHBOARD_LACKS = "get_dashboard_dependency_error"
"""Ray's function that says what the dashboard needs and this environment lacks."""
NO_DASHBOARD: Final = ImportError("a local Ray has no dashboard")
ATTEMPTS = 3
"""Starts of a local Ray on a machine that is too busy for Ray's own patience, 30 s."""
OTHERS = (
    "it listens, so check that its token (RAY_AUTH_MODE, RAY_AUTH_TOKEN_PATH) and its version of Ray are those here"
)
"""What to do about a cluster that is there and cannot be joined."""
SLOW = "timed out during startup"
"""In the error of such a start."""


@contextmanager
def ray_session(address: str, spec: CampaignSpec) -> Iterator[str]:
    """Connect to a cluster, or start Ray in this process tree; yield a short description of it.

    A program that has connected Ray itself keeps its connection, which is used as it is. What signals did before, they
    do in here: Ray would take SIGTERM.

    Args:
        address: 'local' starts Ray here; 'auto', HOST:PORT and ray://… join a cluster.
        spec: its resources size a local Ray.

    Raises:
        SpecError: if the cluster cannot be reached, within seconds, or if this machine cannot hold the stages.
    """
    if ray.is_initialized():
        yield "this program's Ray"
        return
    on_terminate = signal.getsignal(signal.SIGTERM)
    with ExitStack() as connection:
        try:
            if address == "local":
                connection.enter_context(_local(_cpus_for(spec.resources)))
                if (line := misfit(spec.resources, nodes())) is not None:
                    raise SpecError(line)
            else:
                _join(address)
                connection.callback(_shut_down)
        except TbarError:
            raise
        except Exception as error:  # a start that takes Ray too long has no class of its own
            reason = first_line(error).rstrip(".")
            joining = ADVICE if address == "local" else OTHERS
            advice = "run the same command again" if SLOW in reason else joining
            raise SpecError(f"Ray at {address!r}: {reason}; {advice}") from None
        _take_sigterm(on_terminate)
        yield "a local Ray" if address == "local" else f"the Ray cluster at {address}"


@contextmanager
def joined(address: str) -> Iterator[str]:
    """Connect to a cluster for a while; yield a short description of it.

    A program that has connected Ray itself keeps its connection, which is used as it is.

    Raises:
        SpecError: if the cluster cannot be reached, within seconds.
    """
    if ray.is_initialized():
        yield "this program's Ray"
        return
    try:
        _join(address)
    except TbarError:
        raise
    except Exception as error:
        raise SpecError(f"Ray at {address!r}: {first_line(error).rstrip('.')}; {OTHERS}") from None
    try:
        yield f"the Ray cluster at {address}"
    finally:
        _shut_down()


@contextmanager
def local_ray() -> Iterator[None]:
    """Start Ray here for a while; a program that has connected Ray itself keeps its connection."""
    if ray.is_initialized():
        yield
        return
    with _local():
        yield


def _join(address: str) -> None:
    check_reachable(address)
    ray.init(address=address, log_to_driver=False, logging_level="ERROR")


def _cpus_for(resources: Resources) -> int:
    """CPUs without which a campaign's largest stage would wait for ever."""
    return max(resources.training_cpus * resources.training_workers, resources.trial_cpus)


def _shut_down() -> None:
    """End Ray in this process.

    A handle of an actor that Python collects in another thread, while Ray ends, enters a Ray that has ended, which
    ends the process. So what is garbage is collected before, and nothing meanwhile.
    """
    gc.collect()
    gc.disable()
    try:
        ray.shutdown()
    finally:
        gc.enable()
        # Ray has given SIGTERM back to the system, which ends the process; Python does not know
        _take_sigterm(signal.getsignal(signal.SIGTERM))


def _take_sigterm(handler: Any) -> None:
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)


@contextmanager
def _local(cpus: int = 1) -> Iterator[None]:
    """Run Ray on loopback, with as many CPUs as this process may use and at least `cpus`.

    It lives in a temporary folder of this process, which its processes carry in their environment: what is left of it,
    when it ends or when this process was killed, is found and ended.
    """
    os.environ.pop("RAY_ADDRESS", None)
    with ExitStack() as folders:
        for attempt in range(1, ATTEMPTS + 1):
            folder = temporary_folder("ray", short_place(LONGEST))
            folders.callback(end, folder)
            try:
                _start(folder, max(processors(), cpus))
                break
            except Exception as error:
                if SLOW not in str(error) or attempt == ATTEMPTS:
                    raise
                folders.close()
        try:
            yield
        finally:
            _shut_down()


def _start(folder: Path, cpus: int) -> None:
    os.environ[MARK] = str(folder)
    try:
        with _alone():
            ray.init(
                address="local",
                num_cpus=cpus,
                include_dashboard=False,
                object_store_memory=OBJECT_STORE_BYTES,
                log_to_driver=False,
                logging_level="ERROR",
                _node_ip_address=LOOPBACK,
                _temp_dir=str(folder),
            )
    finally:
        del os.environ[MARK]


@contextmanager
def _alone() -> Iterator[None]:
    """Let a Ray that is started be of one machine, as it is by default on macOS and Windows, and without a dashboard.

    Its services listen on loopback alone then. Otherwise Ray replaces 127.0.0.1 by the network card's address, and at
    any other one, 127.0.0.2 among them, they listen on all interfaces. And the agent beside the raylet, on which the
    raylet's start waits for seconds, loads nothing of what serves the dashboard, as it does where the packages of
    `ray[default]` are missing.
    """
    with _as_if(ray_constants, SEVERAL_MACHINES, False), _as_if(ray_utils, DASHBOARD_LACKS, lambda: NO_DASHBOARD):
        yield


@contextmanager
def _as_if(module: ModuleType, name: str, value: object) -> Iterator[None]:
    """Give a name of one of Ray's modules another value for a while; a Ray that has no such name ignores it."""
    before = getattr(module, name, None)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)
