from __future__ import annotations

from typing import Any

import fsspec
import pytest

from tbar_ray.errors import StoreError
from tbar_ray.store.reached import Reached
from tbar_ray.store.store import Store


class Refusing:
    """A client that raises the same exception whatever is asked."""

    protocol = "refusing"

    def __init__(self, error: Exception) -> None:
        self._error = error

    def _refuse(self, *_: Any) -> None:
        raise self._error

    exists = ls = cat_file = _refuse


@pytest.mark.parametrize("call", ["exists", "ls", "cat_file"])
def test_a_clients_own_exception_becomes_one_line(call: str) -> None:
    system = Reached(Refusing(RuntimeError("Unable to locate credentials\n  at line 3")), "x://store")
    with pytest.raises(StoreError, match=r"^store x://store cannot be reached: Unable to locate credentials; [^\n]*$"):
        getattr(system, call)("path")


def test_what_is_only_looked_for_cannot_be_forbidden_without_a_word() -> None:
    system = Reached(Refusing(PermissionError(13, "Forbidden")), "x://store")
    with pytest.raises(StoreError, match="cannot be reached: Forbidden"):
        system.exists("path")


def test_other_errors_of_the_system_stay_what_they_are() -> None:
    system = Reached(Refusing(FileNotFoundError(2, "No such file")), "x://store")
    with pytest.raises(FileNotFoundError):
        system.cat_file("path")
    assert system.protocol == "refusing"


def test_a_bucket_without_credentials_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    clients = fsspec.get_filesystem_class("s3")
    clients.clear_instance_cache()
    try:
        with pytest.raises(StoreError, match=r"^store s3://some-bucket/store cannot be reached: .*credentials[^\n]*$"):
            Store("s3://some-bucket/store").has("x-1")
    finally:
        clients.clear_instance_cache()  # the next test has credentials again
