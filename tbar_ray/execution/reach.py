"""Asking whether a Ray cluster is there: Ray itself tries an address where nobody listens for minutes."""

from __future__ import annotations

import os
import socket
from urllib.parse import urlsplit

from tbar_ray.errors import SpecError, first_line

PATIENCE = 5.0
"""Seconds in which a cluster's head has to accept a connection, and then to answer."""
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""What a client of HTTP/2 begins with: the magic words and empty settings. A server begins with its settings."""
SETTINGS = 4
"""Type of that frame, in its fourth byte."""
CLIENT_PORT = 10001
"""Of ray://HOST without a port."""
ADVICE = "start one with `ray start --head`, or use --address local"


def check_reachable(address: str) -> None:
    """Make sure that a cluster's head accepts connections, and speaks as Ray does.

    Of another server, a tracking server's or a dashboard's, Ray would ask for a minute what cluster it is.

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
        problem = "nobody accepts a connection there"
    elif "RAY_USE_TLS" not in os.environ and not speaks_http2(host, port, PATIENCE):
        problem = "what listens there is no Ray cluster"
    else:
        return
    named = f"{address!r}" if address == f"{host}:{port}" else f"{address!r} ({host}:{port})"
    where = " (from RAY_ADDRESS)" if address == os.environ.get("RAY_ADDRESS") else ""
    raise SpecError(f"Ray at {named}{where}: {problem}; {ADVICE}")


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


def speaks_http2(host: str, port: int, seconds: float) -> bool:
    """Whether a server answers in HTTP/2 within some seconds, as all of Ray's do, which speak gRPC."""
    try:
        with socket.create_connection((host, port), timeout=seconds) as connection:
            connection.sendall(PREFACE)
            start = b""
            while len(start) < SETTINGS and (more := connection.recv(SETTINGS - len(start))):
                start += more
    except OSError:
        return False
    return len(start) == SETTINGS and start[-1] == SETTINGS
