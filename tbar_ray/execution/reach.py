"""Asking whether a Ray cluster is there: Ray itself tries an address where nobody listens for minutes."""

from __future__ import annotations

import os
import socket
from urllib.parse import urlsplit

from tbar_ray.errors import SpecError, first_line

PATIENCE = 5.0
"""Seconds in which a cluster's head has to accept a connection."""
CLIENT_PORT = 10001
"""Of ray://HOST without a port."""
ADVICE = "start one with `ray start --head`, or use --address local"


def check_reachable(address: str) -> None:
    """Make sure that a cluster's head accepts connections.

    Args:
        address: 'auto', HOST:PORT or ray://HOST:PORT.

    Raises:
        SpecError: one line, if it does not, or the address cannot be understood.
    """
    try:
        host, port = host_and_port(address)
    except (ValueError, ConnectionError) as error:
        reason = first_line(error)
        raise SpecError(f"Ray at {address!r}: {reason}; {ADVICE}") from None
    if not accepts(host, port, PATIENCE):
        named = f"{address!r}" if address == f"{host}:{port}" else f"{address!r} ({host}:{port})"
        where = " (from RAY_ADDRESS)" if address == os.environ.get("RAY_ADDRESS") else ""
        raise SpecError(f"Ray at {named}{where}: nobody accepts a connection there; {ADVICE}")


def host_and_port(address: str) -> tuple[str, int]:
    """Host name and port where a cluster's head listens.

    Raises:
        ValueError: if the address cannot be understood.
        ConnectionError: if 'auto' finds no cluster, or several.
    """
    if address == "auto":
        from ray._private.services import canonicalize_bootstrap_address

        found = canonicalize_bootstrap_address("auto")
        if found is None:
            raise ConnectionError("no cluster is running on this machine")
        address = str(found)
    if address.startswith(("http://", "https://")):
        raise ValueError("that is a dashboard, which takes jobs; a cluster is given as HOST:PORT or ray://HOST:PORT")
    parts = urlsplit(address if "://" in address else f"ray-head://{address}")
    port = parts.port or (CLIENT_PORT if parts.scheme == "ray" else None)
    if not parts.hostname or port is None:
        raise ValueError("is not local, auto, HOST:PORT or ray://HOST:PORT")
    return parts.hostname, port


def accepts(host: str, port: int, seconds: float) -> bool:
    """Whether somebody accepts a TCP connection within some seconds."""
    try:
        with socket.create_connection((host, port), timeout=seconds):
            return True
    except (OSError, UnicodeError):
        return False
