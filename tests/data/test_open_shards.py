from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tbar_ray.data import open_shards as module
from tbar_ray.data.locate import shard_state
from tbar_ray.data.open_shards import OpenShards
from tbar_ray.errors import DataError, ShardChangedError

COUNT = 5


@pytest.fixture
def urls(tmp_path: Path) -> list[str]:
    for shard in range(COUNT):
        (tmp_path / f"{shard}.tar").write_bytes(bytes([shard]) * 2048)
    return [str(tmp_path / f"{shard}.tar") for shard in range(COUNT)]


def opened(urls: list[str], tmp_path: Path) -> OpenShards:
    return OpenShards(urls, [shard_state(url) for url in urls], tmp_path / "cache")


def test_open_files_are_bounded_and_threads_may_share_them(
    urls: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "OPEN_SHARDS", 2)
    shards = opened(urls, tmp_path)
    assert [shards.get(shard)[5] for shard in range(COUNT)] == list(range(COUNT))
    assert len(shards) == 2
    order = np.random.default_rng(0).integers(0, COUNT, 400).tolist()
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda shard: shards.get(shard)[7], order)) == order
    assert len(shards) == 2


def test_the_shard_that_was_not_read_for_longest_is_closed(
    urls: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "OPEN_SHARDS", 2)
    shards = opened(urls, tmp_path)
    first, second = shards.get(0), shards.get(1)
    assert shards.get(0) is first
    shards.get(2)  # closes 1
    assert shards.get(0) is first
    assert shards.get(1) is not second


def test_an_open_shard_is_looked_at_from_time_to_time(
    urls: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = opened(urls, tmp_path)
    shards.get(0)
    Path(urls[0]).write_bytes(b"short")
    shards.get(0)  # a moment ago it was unchanged
    with pytest.raises(ShardChangedError, match=r"0\.tar changed since it was indexed: run again"):
        shards.check_unchanged(0)
    monkeypatch.setattr(module, "CHECK_EVERY", -1)
    with pytest.raises(ShardChangedError, match=r"0\.tar changed since it was indexed: run again"):
        shards.get(0)
    shards.check_unchanged(1)


def test_a_shard_that_has_become_empty_is_one_line(urls: list[str], tmp_path: Path) -> None:
    shards = OpenShards(urls, [None] * COUNT, tmp_path / "cache")
    Path(urls[0]).write_bytes(b"")
    with pytest.raises(DataError, match=rf"^cannot read shard {urls[0]}: [^\n]*$"):
        shards.get(0)
