from __future__ import annotations

import hashlib
import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import fsspec
import pytest

from tbar_ray.errors import BrokenArtifactError, StoreError
from tbar_ray.store.commit import COMMIT
from tbar_ray.store.store import Store
from tests.store.filled import filled, flip, one_line, poke


def test_a_committed_artifact_comes_back_whole(store: Store) -> None:
    assert store.artifacts() == []
    assert not store.has("x-1")
    store.commit("x-1", filled(store), {"kind": "x", "seconds": 1.5})
    assert store.has("x-1")
    assert store.artifacts() == ["x-1"]
    assert store.facts("x-1") == {
        "name": "x-1", "kind": "x", "seconds": 1.5, "files": {
            "a.txt": {"size": 5, "sha256": hashlib.sha256(b"hello").hexdigest()},
            "deep/er/b.bin": {"size": 256, "sha256": hashlib.sha256(bytes(range(256))).hexdigest()},
        },
    }  # fmt: skip
    for _ in range(2):
        folder = store.fetch("x-1")
        assert (folder / "a.txt").read_text() == "hello"
        assert (folder / "deep" / "er" / "b.bin").read_bytes() == bytes(range(256))
        assert (folder / COMMIT).is_file()


def test_artifact_url_opens_with_any_reader(store: Store) -> None:
    store.commit("x-1", filled(store), {})
    with fsspec.open(f"{store.artifact_url('x-1')}/a.txt", "rt") as file:
        assert file.read() == "hello"


def test_a_store_travels_to_other_processes(store: Store) -> None:
    store.commit("x-1", filled(store), {})
    sent = pickle.loads(pickle.dumps(store))
    assert sent.url == store.url
    assert sent.has("x-1")


def test_without_its_commit_an_artifact_does_not_exist(store: Store) -> None:
    poke(store, "artifacts/x-1/a.txt", b"half")
    assert not store.has("x-1")
    assert store.artifacts() == []
    with pytest.raises(StoreError) as caught:
        store.fetch("x-1")
    assert one_line(caught) == f"store {store.url} has no artifact x-1"
    with pytest.raises(StoreError):
        store.facts("x-1")


def test_a_killed_stage_leaves_nothing_visible(store: Store) -> None:
    filled(store)  # and never committed
    assert store.artifacts() == []
    assert store.list_json("artifacts") == []


def test_the_same_artifact_committed_by_many_at_once(store: Store) -> None:
    many = 8
    folders = [filled(store, "same") for _ in range(many)]
    ready = Barrier(many)

    def commit(folder: Path) -> None:
        ready.wait()
        store.commit("x-1", folder, {"kind": "x"})

    with ThreadPoolExecutor(many) as pool:
        assert list(pool.map(commit, folders)) == [None] * many
    assert store.artifacts() == ["x-1"]
    assert (store.fetch("x-1") / "a.txt").read_text() == "same"
    assert {name: entry["size"] for name, entry in store.facts("x-1")["files"].items()} == {
        "a.txt": 4, "deep/er/b.bin": 256,
    }  # fmt: skip


def test_a_store_under_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = Store(str(tmp_path / "file" / "store"))
    with pytest.raises(StoreError, match=r"cannot be written: Not a directory; choose another with --store$") as caught:
        store.check()
    one_line(caught)
    with pytest.raises(StoreError, match=r"cannot be written: Not a directory$"):
        store.scratch()
    with pytest.raises(StoreError, match=r"a\.json cannot be written: Not a directory$"):
        store.write_json("a.json", {})
    folder = tmp_path / "made"
    folder.mkdir()
    with pytest.raises(StoreError, match=r"x-1 cannot be written: Not a directory$"):
        store.commit("x-1", folder, {})
    assert not store.has("x-1")
    assert store.artifacts() == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")  # noqa: PTH110
def test_a_full_disk_is_said_in_words(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    folder = store.scratch()
    (folder / COMMIT).symlink_to("/dev/full")  # every write to it fails with the system's own ENOSPC
    with pytest.raises(StoreError) as caught:
        store.commit("x-1", folder, {"kind": "x"})
    assert one_line(caught) == f"store {tmp_path}: x-1 cannot be written: no space left on its disk"
    assert not store.has("x-1")


def test_a_file_of_another_size_is_noticed_without_reading_it(store: Store) -> None:
    store.commit("x-1", filled(store), {})
    assert store.is_sound("x-1")
    poke(store, "artifacts/x-1/deep/er/b.bin", b"short")
    assert not store.has("x-1")
    assert store.artifacts() == []
    assert store.problem("x-1") == "deep/er/b.bin has 5 bytes of 256"
    with pytest.raises(BrokenArtifactError):
        store.fetch("x-1")


def test_small_files_are_hashed_when_an_artifact_is_looked_at(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.commit("x-1", filled(store), {})
    assert store.is_sound("x-1")
    file = tmp_path / "artifacts/x-1/a.txt"
    before = file.stat()
    flip(store, "artifacts/x-1/a.txt")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))  # where the system's clock ticks in milliseconds
    assert store.has("x-1")
    assert not store.is_sound("x-1")


def test_a_discarded_artifact_is_gone(store: Store) -> None:
    store.commit("x-1", filled(store), {})
    store.fetch("x-1")
    store.discard("x-1")
    assert not store.has("x-1")
    with pytest.raises(BrokenArtifactError, match="has no artifact x-1"):
        store.fetch("x-1")
    store.discard("x-1")  # another process was first


def test_of_a_dropped_file_the_rest_stands(store: Store) -> None:
    store.commit("x-1", filled(store), {"seconds": 1.5})
    store.drop("x-1", "deep/er/b.bin")
    assert not store.exists("artifacts/x-1/deep/er/b.bin")
    assert store.is_sound("x-1")
    assert store.facts("x-1")["seconds"] == 1.5
    assert (store.fetch("x-1", "a.txt") / "a.txt").read_text() == "hello"
    assert store.verify("x-1") is None
    assert "dropped" in (store.verify("x-1", whole=True) or "")
    with pytest.raises(BrokenArtifactError, match="was dropped by `tbar store gc`"):
        store.fetch("x-1")
