import os
from pathlib import Path

import numpy as np
import pytest

from tbar_ray.data.cache import INDEX, cache_limit, load_index, make_room, save_index, used
from tbar_ray.data.shards import ShardIndex, ShardProblem
from tbar_ray.errors import SpecError


def shard(folder: Path, name: str, size: int, age: float) -> Path:
    path = folder / name
    path.write_bytes(b"x" * size)
    os.utime(path, (1e9 - age, 1e9 - age))
    return path


def test_the_shards_that_were_used_longest_ago_go_first(tmp_path: Path) -> None:
    oldest, older, newest = (shard(tmp_path, f"{n}.tar", 100, 30 - n) for n in range(3))
    index, download = shard(tmp_path, f"0.tar{INDEX}", 500, 99), shard(tmp_path, ".3.tar.part", 500, 99)
    assert make_room(tmp_path, newest, 300) == []
    assert make_room(tmp_path, newest, 299) == [oldest]
    used(older)
    assert make_room(tmp_path, newest, 50) == [older]  # the newest stays even if it is too large alone
    assert sorted(tmp_path.iterdir()) == sorted([newest, index, download])


def test_a_shard_in_use_is_not_the_oldest(tmp_path: Path) -> None:
    oldest, older = shard(tmp_path, "0.tar", 10, 20), shard(tmp_path, "1.tar", 10, 10)
    used(oldest)
    used(tmp_path / "gone.tar")
    assert make_room(tmp_path, tmp_path / "new.tar", 10) == [older]


def test_the_limit_is_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TBAR_CACHE_GB", raising=False)
    assert cache_limit() == 100e9
    monkeypatch.setenv("TBAR_CACHE_GB", "0.5")
    assert cache_limit() == 5e8
    for wrong in ("0", "-1", "many", "inf", "nan"):
        monkeypatch.setenv("TBAR_CACHE_GB", wrong)
        with pytest.raises(SpecError, match="TBAR_CACHE_GB"):
            cache_limit()


def test_an_index_comes_back_as_it_was(tmp_path: Path) -> None:
    spans = {"jpg": np.array([[512, 10], [-1, -1]]), "seg.png": np.array([[-1, -1], [2048, 7]])}
    problems = (ShardProblem("s3://a/0.tar", None, "truncated"), ShardProblem("s3://a/0.tar", "ä", "no image"))
    index = ShardIndex("s3://a/0.tar", ("ä", "b/c"), spans, problems)
    path = tmp_path / f"0.tar{INDEX}"
    assert load_index("s3://a/0.tar", path) is None
    save_index(index, path)
    found = load_index("s3://a/0.tar", path)
    assert found is not None
    assert (found.keys, found.problems) == (index.keys, index.problems)
    assert all(np.array_equal(found.spans[name], span) for name, span in spans.items())
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    path.write_bytes(path.read_bytes()[:50])
    assert load_index("s3://a/0.tar", path) is None
