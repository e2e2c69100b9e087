from __future__ import annotations

import errno
import hashlib
import os
import pickle
import socket
import tempfile
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import fsspec
import pytest

from tbar_ray.errors import BrokenArtifactError, StoreError
from tbar_ray.store.store import COMMIT, Store
from tests.buckets import new_bucket


@pytest.fixture(params=["local", "file-url", "memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # where downloads and scratch go
    if request.param == "memory":
        root = f"/{uuid.uuid4().hex}"
        yield Store(f"memory:/{root}")
        system = fsspec.filesystem("memory")
        if system.exists(root):
            system.rm(root, recursive=True)
    elif request.param == "s3":
        request.getfixturevalue("s3")
        yield Store(f"{new_bucket('s3')}/store")
    else:
        path = str(tmp_path / "store")
        yield Store(path if request.param == "local" else f"file://{path}")


def filled(store: Store, text: str = "hello") -> Path:
    folder = store.scratch()
    (folder / "a.txt").write_text(text)
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "b.bin").write_bytes(bytes(range(256)))
    return folder


def poke(store: Store, path: str, content: bytes) -> None:
    """Write a file past the store, as a person or a killed process might."""
    system, root = fsspec.core.url_to_fs(store.url)
    system.makedirs(f"{root}/{path}".rsplit("/", 1)[0], exist_ok=True)
    system.pipe_file(f"{root}/{path}", content)


def one_line(error: pytest.ExceptionInfo[StoreError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


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


def test_half_an_artifact_does_not_keep_the_whole_one_out(store: Store) -> None:
    poke(store, "artifacts/x-1/a.txt", b"half")
    store.commit("x-1", filled(store), {})
    assert (store.fetch("x-1") / "a.txt").read_text() == "hello"


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


def test_the_first_commit_stays_where_renaming_can_tell(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.commit("x-1", filled(store, "first"), {"n": 1})
    folder = filled(store, "second")
    store.commit("x-1", folder, {"n": 2})
    assert store.facts("x-1")["n"] == 1
    assert (store.fetch("x-1") / "a.txt").read_text() == "first"
    assert not folder.exists()


def test_json_files(store: Store) -> None:
    folder = "campaigns/demo/1/trials"
    assert store.list_json(folder) == []
    assert not store.exists(f"{folder}/b.json")
    store.write_json(f"{folder}/b.json", {"α": [1, None, 1e-5]})
    store.write_json(f"{folder}/a.json", {"n": 1})
    store.write_json(f"{folder}/a.json", {"n": 2})  # replaced
    poke(store, f"{folder}/notes.txt", b"")
    assert store.list_json(folder) == ["a.json", "b.json"]
    assert store.read_json(f"{folder}/a.json") == {"n": 2}
    assert store.read_json(f"{folder}/b.json") == {"α": [1, None, 1e-5]}
    assert store.exists(f"{folder}/b.json")


@pytest.mark.parametrize("content", [b"", b'{"a": 1', b"\xff\xfe\x00"])
def test_broken_json_is_one_line(store: Store, content: bytes) -> None:
    poke(store, "campaigns/a.json", content)
    with pytest.raises(StoreError) as caught:
        store.read_json("campaigns/a.json")
    assert one_line(caught).startswith(f"store {store.url}: campaigns/a.json cannot be read: ")


def test_missing_json_is_one_line(store: Store) -> None:
    with pytest.raises(StoreError) as caught:
        store.read_json("campaigns/none.json")
    assert one_line(caught).startswith(f"store {store.url}: campaigns/none.json cannot be read: ")


def test_check_leaves_nothing_behind(store: Store) -> None:
    store.check(min_free_gb=0)
    system, root = fsspec.core.url_to_fs(store.url)
    assert system.find(root) == []


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


def test_no_room(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"no free disk: [\d.]+ GB left, 1e\+09 GB wanted; free some or") as caught:
        Store(str(tmp_path)).check(min_free_gb=1e9)
    one_line(caught)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")  # noqa: PTH110
def test_a_full_disk_is_said_in_words(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    folder = store.scratch()
    (folder / COMMIT).symlink_to("/dev/full")  # every write to it fails with the system's own ENOSPC
    with pytest.raises(StoreError) as caught:
        store.commit("x-1", folder, {"kind": "x"})
    assert one_line(caught) == f"store {tmp_path}: x-1 cannot be written: no space left on its disk"
    assert not store.has("x-1")


def test_a_store_of_an_unknown_kind() -> None:
    with pytest.raises(StoreError, match=r"^store nonsense://bucket/x: Protocol not known: nonsense") as caught:
        Store("nonsense://bucket/x")
    one_line(caught)


def flip(store: Store, path: str, place: int = 0) -> None:
    """Change one bit of a file in place, as a bad disk might."""
    system, root = fsspec.core.url_to_fs(store.url)
    content = bytearray(system.cat_file(f"{root}/{path}"))
    content[place] ^= 1
    system.pipe_file(f"{root}/{path}", bytes(content))


def test_a_flipped_bit_is_noticed_when_the_file_is_first_read(store: Store) -> None:
    store.commit("x-1", filled(store), {})
    flip(store, "artifacts/x-1/deep/er/b.bin", 100)
    for reading in (lambda: store.fetch("x-1"), lambda: Store(store.url).fetch("x-1", "deep/er/b.bin")):
        with pytest.raises(BrokenArtifactError, match=r"b\.bin has other bytes than were committed") as caught:
            reading()
        assert caught.value.artifact == "x-1"
        assert "\n" not in str(caught.value)
    assert (store.fetch("x-1", "a.txt") / "a.txt").read_text() == "hello"
    assert "other bytes" in (store.verify("x-1") or "")
    assert pickle.loads(pickle.dumps(caught.value)).artifact == "x-1"


def test_a_file_of_another_size_is_noticed_without_reading_it(store: Store) -> None:
    store.commit("x-1", filled(store), {})
    assert store.is_sound("x-1")
    poke(store, "artifacts/x-1/deep/er/b.bin", b"short")
    assert not store.has("x-1")
    assert store.artifacts() == []
    assert store.problem("x-1") == "deep/er/b.bin has 5 bytes of 256"
    with pytest.raises(BrokenArtifactError):
        store.fetch("x-1")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"files": {"a.txt": {"size": "5"}}}', b'{"files": 3}'])
def test_a_broken_commit_is_no_commit(store: Store, content: bytes) -> None:
    store.commit("x-1", filled(store), {})
    poke(store, f"artifacts/x-1/{COMMIT}", content)
    assert not store.has("x-1")
    assert not store.is_sound("x-1")
    assert store.verify("x-1") == f"{COMMIT} is broken"
    with pytest.raises(BrokenArtifactError):
        store.fetch("x-1")
    store.commit("x-1", filled(store, "again"), {})
    assert (store.fetch("x-1") / "a.txt").read_text() == "again"


def test_small_files_are_hashed_when_an_artifact_is_looked_at(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.commit("x-1", filled(store), {})
    assert store.is_sound("x-1")
    flip(store, "artifacts/x-1/a.txt")
    assert store.has("x-1")
    assert not store.is_sound("x-1")


def test_a_broken_copy_of_a_remote_artifact_is_fetched_again(s3: None, tmp_path: Path) -> None:
    store = Store(f"{new_bucket('s3')}/store")
    store.commit("x-1", filled(store), {})
    folder = store.fetch("x-1")
    (folder / "a.txt").write_text("hallo")
    assert (Store(store.url).fetch("x-1") / "a.txt").read_text() == "hello"


def test_commits_of_earlier_versions_name_sizes_alone(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.commit("x-1", filled(store), {})
    facts = store.facts("x-1")
    store.write_json(
        f"artifacts/x-1/{COMMIT}", {**facts, "files": {name: f["size"] for name, f in facts["files"].items()}}
    )
    assert (store.fetch("x-1") / "a.txt").read_text() == "hello"
    poke(store, "artifacts/x-1/a.txt", b"hello!")
    assert not Store(store.url).has("x-1")


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


def test_a_json_file_is_created_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tbar_ray.store.store.SETTLED", 0)
    assert store.create_json("campaigns/lease.json", {"who": 1})
    assert not store.create_json("campaigns/lease.json", {"who": 2})
    assert store.read_json("campaigns/lease.json") == {"who": 1}
    assert store.list_folder("campaigns") == ["lease.json"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")  # noqa: PTH110
def test_an_error_of_a_library_on_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(str(tmp_path))
    store.check_room(tmp_path, ValueError("something else"))
    with pytest.raises(StoreError, match="cannot be written any more: no space left on its disk; make room"):
        store.check_room(tmp_path, OSError(errno.ENOSPC, "No space left on device"))

    def full(path: Path, content: bytes) -> int:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StoreError, match="cannot be written any more: Read-only file system") as caught:
        store.check_room(tmp_path, RuntimeError("[enforce fail at inline_container.cc:664]"))
    one_line(caught)


@pytest.mark.parametrize(
    ("umask", "folder", "file"), [(0o022, 0o755, 0o644), (0o002, 0o775, 0o664), (0o077, 0o700, 0o600)]
)
def test_whoever_the_umask_lets_in_can_read_the_store(umask: int, folder: int, file: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        store = Store(str(tmp_path / "store"))
        written = filled(store)
        (written / "a.txt").chmod(0o600)  # as safetensors leaves its files
        store.commit("x-1", written, {})
        scratch = store.scratch()
        (scratch / "checkpoint.pt").write_bytes(b"x")
        (scratch / "checkpoint.pt").chmod(0o600)
        store.write_file(scratch / "checkpoint.pt", "checkpoints/x-1.pt")
        scratch.rmdir()
    finally:
        os.umask(before)
    modes = {path.is_dir(): set[int]() for path in (tmp_path / "store").rglob("*")}
    for path in [tmp_path / "store", *(tmp_path / "store").rglob("*")]:
        modes[path.is_dir()].add(path.stat().st_mode & 0o777)
    assert modes == {True: {folder}, False: {file}}


def test_scratch_is_removed_when_its_process_has_ended_on_this_host_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "node")
    store, dead = Store(str(tmp_path)), 2**22 + 1  # no process has so large a number
    folders = {name: tmp_path / "tmp" / name for name in (f"node-{dead}-a", f"node-{dead}-77-a", f"other-{dead}-a")}
    for folder in folders.values():
        folder.mkdir(parents=True)
    own = store.scratch()
    assert store.remove_abandoned_scratch() == 1
    assert sorted((tmp_path / "tmp").iterdir()) == sorted([own, *list(folders.values())[1:]])
