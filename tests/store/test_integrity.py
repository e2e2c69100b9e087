from __future__ import annotations

import pickle

import pytest

from tbar_ray.errors import BrokenArtifactError
from tbar_ray.store.store import Store
from tests.store.filled import filled, flip


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
