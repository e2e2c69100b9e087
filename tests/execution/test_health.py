"""What is looked at on a host."""

from __future__ import annotations

import shutil
from collections import namedtuple
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
import torch

from tbar_ray.errors import StoreError
from tbar_ray.execution import health
from tbar_ray.execution.health import Check, examine_host
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.store.store import Store
from tests.specs import spec

WRITTEN = "written-elsewhere.json"
Usage = namedtuple("Usage", ["total", "used", "free"])


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(str(tmp_path / "store"))
    made.write_json(WRITTEN, {})
    return made


def found(store: Store, made: CampaignSpec | None = None, written: str = WRITTEN) -> dict[str, Check]:
    return {check.what: check for check in examine_host("there", store, written, made).checks}


def test_a_sound_host_leaves_the_store_as_it_was(store: Store) -> None:
    checks = found(store, spec())
    assert list(checks) == ["packages", "disk", "store", "GPU", "data"]
    assert all(check.ok for check in checks.values()), checks
    assert {check.where for check in checks.values()} == {"there"}
    assert "torch 2." in checks["packages"].told
    assert [path.name for path in Path(store.url).iterdir()] == [WRITTEN]


def test_a_store_that_is_another_folder_on_this_host_is_found_out(store: Store) -> None:
    check = found(store, written="not-here.json")["store"]
    assert not check.ok
    assert "give a store that every node reaches" in check.told


def test_a_store_that_does_not_keep_what_is_written_is_found_out(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "read_json", lambda *_: {"written": "something else"})
    check = found(store)["store"]
    assert (check.ok, check.told) == (False, f"store {store.url}: what was written is not what is read back")


def test_a_store_that_cannot_be_written_is_one_line(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise StoreError("read-only")

    monkeypatch.setattr(Store, "write_json", refuse)
    assert found(store)["store"] == Check("store", "there", False, "read-only")


def test_a_full_disk_is_found_out(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1e12, 1e12, 1e8))
    checks = found(store)
    assert "0.1 GB are free, 0.5 GB are needed" in checks["disk"].told
    assert not checks["disk"].ok
    assert not checks["store"].ok


def test_a_package_that_is_missing_is_named(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "optuna":
            raise PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(health, "version", version)
    check = found(store)["packages"]
    assert (check.ok, check.told) == (False, "not installed: optuna; install tbar-ray with what it requires")


def test_data_that_are_not_there_and_a_spec_that_cannot_be_are_named(store: Store, tmp_path: Path) -> None:
    given = {"train": str(tmp_path / "no.tar"), "evaluation": str(tmp_path / "none")}
    checks = [c for c in examine_host("there", store, WRITTEN, spec(data=given)).checks if c.what == "data"]
    assert [check.ok for check in checks] == [False, False]
    assert "no.tar" in checks[0].told
    wrong = found(store, spec(search__axes={"attack": ["unheard-of"]}))
    assert not wrong["spec"].ok
    assert "'unheard-of' is not under 'attacks'" in wrong["spec"].told


def test_a_gpu_counts_if_it_computes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    check = found(store)["GPU"]
    assert not check.ok, "there is none, whatever its driver says"
    ones = torch.ones
    monkeypatch.setattr(torch, "ones", lambda size, device: ones(size))  # noqa: ARG005
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "an accelerator")
    host = examine_host("there", store, WRITTEN, None)
    assert host.gpus == ("an accelerator",)
    assert Check("GPU", "there", True, "torch computes on an accelerator") in host.checks
