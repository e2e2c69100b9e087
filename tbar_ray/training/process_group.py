"""The process group of the workers of one training: where they meet, and which network they talk over."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from ipaddress import ip_address

import psutil
import torch.distributed as dist
from torch.distributed import Store, TCPStore  # type: ignore[attr-defined]

from tbar_ray.training.workers import Workers

PATIENCE = timedelta(minutes=10)
"""How long a worker waits for the others: one of them may have to download a shard, or to write a checkpoint."""
INTERFACES = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")


def open_meeting(address: str, size: int) -> TCPStore:
    """Open, in worker 0, the place where workers find each other; it listens at this address alone.

    Args:
        address: IP address of this machine by which the others reach it.
        size: number of workers.
    """
    family = socket.AF_INET6 if ip_address(address).version == 6 else socket.AF_INET
    listening = socket.socket(family)
    listening.bind((address, 0))
    listening.listen()
    port = listening.getsockname()[1]
    # the store takes the socket over: torch's own would listen on all interfaces
    return TCPStore(address, port, size, is_master=True, wait_for_workers=False, master_listen_fd=listening.detach())


def reach_meeting(address: str, port: int, size: int) -> TCPStore:
    """The meeting that worker 0 has opened, for another worker."""
    return TCPStore(address, port, size, is_master=False, timeout=PATIENCE)


@contextmanager
def joined(store: Store, workers: Workers, backend: str, address: str) -> Iterator[None]:
    """Make this process one of the workers of a training, for a while.

    Args:
        store: where they meet.
        workers: which of them this process is, of how many.
        backend: torch's name of what carries messages, `gloo` or `cpu:gloo,cuda:nccl`.
        address: IP address of this machine, on whose network the others are.
    """
    interface = interface_of(address)
    for name in INTERFACES if interface is not None else ():
        os.environ.setdefault(name, interface or "")
    dist.init_process_group(backend, store=store, rank=workers.rank, world_size=workers.size, timeout=PATIENCE)
    try:
        yield
    finally:
        dist.destroy_process_group()


def interface_of(address: str) -> str | None:
    """Name of the network interface that has an address; loopback has all that begin with 127. None if none has it."""
    wanted = "127.0.0.1" if ip_address(address).is_loopback and "." in address else address
    found = (name for name, has in psutil.net_if_addrs().items() if any(one.address == wanted for one in has))
    return next(found, None)
