"""Whether somebody listens at a cluster's address."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from tbar_ray.errors import SpecError
from tbar_ray.execution.reach import check_reachable, host_and_port


@pytest.fixture
def listening() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_head_that_listens_is_reachable(listening: int) -> None:
    check_reachable(f"127.0.0.1:{listening}")
    check_reachable(f"ray://127.0.0.1:{listening}")


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
