from __future__ import annotations

from pathlib import Path

from tbar_ray.store.store import Store
from tests.buckets import new_bucket
from tests.store.filled import filled


def test_a_broken_copy_of_a_remote_artifact_is_fetched_again(s3: None, tmp_path: Path) -> None:
    store = Store(f"{new_bucket('s3')}/store")
    store.commit("x-1", filled(store), {})
    folder = store.fetch("x-1")
    (folder / "a.txt").write_text("hallo")
    assert (Store(store.url).fetch("x-1") / "a.txt").read_text() == "hello"
