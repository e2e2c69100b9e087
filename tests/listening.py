"""What processes listen on."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import IPv6Address, ip_address

import psutil


def listening(pid: int) -> list[tuple[str, str]]:
    """The sockets that a process and its descendants take connections or datagrams on: whose, and at what address."""
    first = psutil.Process(pid)
    found: list[tuple[str, str]] = []
    for process in (first, *first.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            open_for_all = (one for one in process.net_connections("inet") if one.laddr and not one.raddr)
            found.extend((process.name(), str(one.laddr.ip)) for one in open_for_all)
    return found


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches an address."""
    parsed = ip_address(address)
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return (mapped or parsed).is_loopback
