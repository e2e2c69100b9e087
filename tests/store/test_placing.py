from __future__ import annotations

import os
from pathlib import Path

import pytest

from tbar_ray.store.store import Store
from tests.store.filled import filled, poke


def test_half_an_artifact_does_not_keep_the_whole_one_out(store: Store) -> None:
    poke(store, "artifacts/x-1/a.txt", b"half")
    store.commit("x-1", filled(store), {})
    assert (store.fetch("x-1") / "a.txt").read_text() == "hello"


def test_the_first_commit_stays_where_renaming_can_tell(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.commit("x-1", filled(store, "first"), {"n": 1})
    folder = filled(store, "second")
    store.commit("x-1", folder, {"n": 2})
    assert store.facts("x-1")["n"] == 1
    assert (store.fetch("x-1") / "a.txt").read_text() == "first"
    assert not folder.exists()


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
