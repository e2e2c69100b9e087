from __future__ import annotations

from pathlib import Path

import fsspec
import pytest

from tbar_ray.errors import StoreError
from tbar_ray.store.store import Store
from tests.store.filled import one_line, poke


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


def test_a_json_file_is_created_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tbar_ray.store.files.SETTLED", 0)
    assert store.create_json("campaigns/lease.json", {"who": 1})
    assert not store.create_json("campaigns/lease.json", {"who": 2})
    assert store.read_json("campaigns/lease.json") == {"who": 1}
    assert store.list_folder("campaigns") == ["lease.json"]


def test_check_leaves_nothing_behind(store: Store) -> None:
    store.check(min_free_gb=0)
    system, root = fsspec.core.url_to_fs(store.url)
    assert system.find(root) == []


def test_no_room(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"no free disk: [\d.]+ GB left, 1e\+09 GB wanted; free some or") as caught:
        Store(str(tmp_path)).check(min_free_gb=1e9)
    one_line(caught)


def test_a_store_of_an_unknown_kind() -> None:
    with pytest.raises(StoreError, match=r"^store nonsense://bucket/x: Protocol not known: nonsense") as caught:
        Store("nonsense://bucket/x")
    one_line(caught)


def test_a_variable_that_is_not_set_is_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOWHERE", raising=False)
    with pytest.raises(StoreError, match=r"\(\$NOWHERE is not set\)$"):
        Store(f"{tmp_path}/$NOWHERE/store")
    (tmp_path / "$NOWHERE").mkdir()
    Store(f"{tmp_path}/$NOWHERE/store").check(0)
    assert (tmp_path / "$NOWHERE" / "store").is_dir()


def test_a_listing_has_what_another_process_wrote_since(bucket: str) -> None:
    """fsspec remembers listings, of S3 for as long as a process lives."""
    store = Store(f"{bucket}/store")
    store.write_json("things/a.json", {})
    assert store.list_folder("things") == ["a.json"]
    other, root = fsspec.core.url_to_fs(f"{bucket}/store", skip_instance_cache=True)
    other.pipe_file(f"{root}/things/b.json", b"{}")
    assert store.list_folder("things") == ["a.json", "b.json"]
