"""Whether somebody listens at a cluster's address."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread

import pytest

from tbar_ray.errors import SpecError
from tbar_ray.execution import reach
from tbar_ray.execution.reach import check_reachable, host_and_port


@contextmanager
def answering(*parts: bytes) -> Iterator[int]:
    """A server that answers each connection with these bytes, part by part; yield its port."""

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:  # closed
                return
            with connection, suppress(OSError):
                connection.recv(100)
                for part in parts:
                    connection.sendall(part)
                    time.sleep(0.05)

    with socket.create_server(("127.0.0.1", 0)) as server:
        Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]


@pytest.mark.parametrize("parts", [[bytes([0, 0, 6, 4, 0, 0, 0, 0, 0])], [bytes([0, 0]), bytes([6, 4, 0, 0])]])
def test_a_head_that_speaks_http2_is_reachable(parts: list[bytes]) -> None:
    with answering(*parts) as port:
        check_reachable(f"127.0.0.1:{port}")
        check_reachable(f"ray://127.0.0.1:{port}")


@pytest.mark.parametrize("parts", [[b"HTTP/1.1 400 Bad Request\r\n\r\n"], [b"SSH-2.0"], [b"\0\0"], []])
def test_another_server_is_no_cluster(parts: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(*parts) as port:
        with pytest.raises(SpecError, match=f"^Ray at '127.0.0.1:{port}': what listens there is no Ray cluster; "):
            check_reachable(f"127.0.0.1:{port}")
        monkeypatch.setenv("RAY_USE_TLS", "1")  # which nobody can look into
        check_reachable(f"127.0.0.1:{port}")


def test_a_server_that_says_nothing_is_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(SpecError, match="is no Ray cluster"):
        check_reachable(f"127.0.0.1:{silent.getsockname()[1]}")


def test_nobody_there_is_one_line_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    started = time.monotonic()
    with pytest.raises(SpecError, match=f"^Ray at '{address}': nobody accepts a connection there; start one") as caught:
        check_reachable(address)
    assert time.monotonic() - started < 10
    assert "\n" not in str(caught.value)
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(SpecError, match=r"\(from RAY_ADDRESS\)"):
        check_reachable(address)


@pytest.mark.parametrize(
    ("address", "expected"),
    [("10.0.0.1:6379", ("10.0.0.1", 6379)), ("ray://head", ("head", 10001)), ("[::1]:6379", ("::1", 6379))],
)
def test_addresses(address: str, expected: tuple[str, int]) -> None:
    assert host_and_port(address) == expected


@pytest.mark.parametrize("address", ["head", "http://127.0.0.1:8265", "head:port", ""])
def test_what_is_no_address_is_one_line(address: str) -> None:
    with pytest.raises(SpecError) as caught:
        check_reachable(address)
    assert "\n" not in str(caught.value)
