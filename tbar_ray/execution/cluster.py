"""Joining or starting Ray."""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import ray

from tbar_ray.errors import SpecError, first_line
from tbar_ray.execution.reach import ADVICE, check_reachable
from tbar_ray.processors import processors
from tbar_ray.spec.campaign import CampaignSpec

OBJECT_STORE_BYTES = 512 * 1024**2
"""Of a local Ray: batches in flight need a few tens of megabytes."""


@contextmanager
def ray_session(address: str, spec: CampaignSpec) -> Iterator[str]:
    """Connect to a cluster, or start Ray in this process tree; yield a short description of it.

    A program that has connected Ray itself keeps its connection, which is used as it is. What signals did before, they
    do in here: Ray would take SIGTERM.

    Args:
        address: 'local' starts Ray here; 'auto', HOST:PORT and ray://… join a cluster.
        spec: its resources size a local Ray.

    Raises:
        SpecError: if the cluster cannot be reached; within seconds.
    """
    if ray.is_initialized():
        yield "this program's Ray"
        return
    on_terminate = signal.getsignal(signal.SIGTERM)
    try:
        if address == "local":
            _start_local(max(spec.resources.training_cpus, spec.resources.trial_cpus))
        else:
            check_reachable(address)
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (OSError, ValueError, RuntimeError) as error:
        reason = first_line(error)
        raise SpecError(f"Ray at {address!r}: {reason}; {ADVICE}") from None
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_terminate)
    try:
        yield "a local Ray" if address == "local" else f"the Ray cluster at {address}"
    finally:
        _shut_down()


@contextmanager
def local_ray() -> Iterator[None]:
    """Start Ray here for a while; a program that has connected Ray itself keeps its connection."""
    if ray.is_initialized():
        yield
        return
    _start_local()
    try:
        yield
    finally:
        _shut_down()


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


def _start_local(cpus: int = 1) -> None:
    """Start Ray on loopback, with as many CPUs as this process may use and at least `cpus`."""
    os.environ.pop("RAY_ADDRESS", None)
    ray.init(
        address="local",
        num_cpus=max(processors(), cpus),
        include_dashboard=False,
        object_store_memory=OBJECT_STORE_BYTES,
        log_to_driver=False,
        logging_level="ERROR",
        _node_ip_address="127.0.0.2",  # 127.0.0.1 would be replaced by the network card's address
    )
