from __future__ import annotations

import errno
import pickle
from pathlib import Path
from typing import Any

import fsspec
import pytest
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError

from tbar_ray.errors import StoreError
from tbar_ray.store import reached
from tbar_ray.store.reached import Reached
from tbar_ray.store.store import Store
from tests.buckets import new_bucket


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


class Away:
    """A client whose store is away for a number of calls."""

    protocol = "away"

    def __init__(self, calls: int, error: Exception) -> None:
        self.left, self._error, self.asked = calls, error, 0

    def cat_file(self, path: str) -> str:
        self.asked += 1
        if self.left:
            self.left -= 1
            raise self._error
        return path


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reached, "PAUSES", (0.001, 0.002))


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url="http://127.0.0.1"),
        ReadTimeoutError(endpoint_url="http://127.0.0.1"),
        OSError(errno.EBUSY, "Please reduce your request rate."),
        ConnectionResetError(),
    ],
)
def test_a_store_that_has_answered_is_asked_again_while_it_is_away(error: Exception) -> None:
    client = Away(0, error)
    system = Reached(client, "s3://bucket/store")
    assert system.cat_file("one") == "one"
    client.left = 3
    assert system.cat_file("two") == "two"
    assert client.asked == 5


def test_one_that_never_answered_is_an_error_at_once() -> None:
    client = Away(1, EndpointConnectionError(endpoint_url="http://127.0.0.1"))
    with pytest.raises(StoreError, match="cannot be reached"):
        Reached(client, "s3://bucket/store").cat_file("one")
    assert client.asked == 1


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("error", [PermissionError(13, "Forbidden"), FileNotFoundError(2, "No such file")])
def test_what_is_refused_is_not_asked_again(error: OSError) -> None:
    client = Away(0, error)
    system = Reached(client, "s3://bucket/store")
    system.cat_file("one")
    client.left = 1
    with pytest.raises(type(error)):
        system.cat_file("two")
    assert client.asked == 2


@pytest.mark.usefixtures("hurried")
def test_patience_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reached, "PATIENCE", 0.05)
    client = Away(0, ConnectionResetError(104, "Connection reset by peer"))
    system = Reached(client, "s3://bucket/store")
    system.cat_file("one")
    client.left = 1_000_000
    with pytest.raises(ConnectionResetError):
        system.cat_file("two")
    assert client.asked > 3


def test_a_store_that_is_sent_to_another_process_is_as_patient(s3: None) -> None:
    store = Store(f"{new_bucket('s3')}/store")
    assert pickle.loads(pickle.dumps(store))._fs.patience == 0
    store.check()
    assert pickle.loads(pickle.dumps(store))._fs.patience == reached.PATIENCE


def test_a_folder_is_not_asked_again(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.check()
    assert store._fs.patience == 0
