"""A campaign's own Ray listens on loopback alone."""

from __future__ import annotations

import os

import pytest
import ray

from tests.listening import is_loopback, listening

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("local_ray")]


def test_nothing_of_a_local_ray_listens_beyond_loopback() -> None:
    ray.get(ray.remote(lambda: None).remote())  # so that there is a worker
    found = listening(os.getpid())
    assert {"gcs_server", "raylet"} <= {name for name, _ in found}
    assert [(name, address) for name, address in found if not is_loopback(address)] == []


@pytest.mark.parametrize(
    ("address", "expected"),
    [("127.0.0.2", True), ("::1", True), ("::ffff:127.0.0.1", True), ("0.0.0.0", False), ("::", False)],
)
def test_loopback_is_told_from_all_interfaces(address: str, expected: bool) -> None:
    assert is_loopback(address) is expected
