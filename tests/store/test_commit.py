from __future__ import annotations

from pathlib import Path

import pytest

from tbar_ray.errors import BrokenArtifactError
from tbar_ray.store.commit import COMMIT
from tbar_ray.store.store import Store
from tests.store.filled import filled, poke


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
