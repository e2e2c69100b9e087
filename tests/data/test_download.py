from __future__ import annotations

from pathlib import Path

import fsspec
import pytest

from tbar_ray.data.download import local_copy
from tbar_ray.data.locate import expand_shards
from tbar_ray.errors import DataError


def test_local_copy(folder: Path, stocked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    assert local_copy(str(folder / "00001.tar"), cache) == folder / "00001.tar"
    assert not cache.exists()
    first = local_copy(f"{stocked}/00001.tar", cache)
    assert first.read_bytes() == b"xx"
    system, root = fsspec.core.url_to_fs(stocked)
    system.pipe_file(f"{root}/00001.tar", b"other")
    assert local_copy(f"{stocked}/00001.tar", cache).read_bytes() == b"xx"
    with pytest.raises(DataError, match="cannot download"):
        local_copy(f"{stocked}/none.tar", cache)
    with pytest.raises(DataError, match="no such shard"):
        local_copy(str(folder / "none.tar"), cache)
    assert list(cache.iterdir()) == [first]


def test_a_commands_output_is_a_shard(folder: Path, tmp_path: Path) -> None:
    """Through webdataset, whose `pipe:` it is."""
    urls = expand_shards(f"pipe:cat {folder}/0000{{1..2}}.tar")
    assert urls == (f"pipe:cat {folder}/00001.tar", f"pipe:cat {folder}/00002.tar")
    cache = tmp_path / "cache"
    copies = [local_copy(url, cache) for url in urls]
    assert [copy.read_bytes() for copy in copies] == [b"xx", b"xxx"]
    for command, said in (("exit 3", "ended with 3$"), ("cat /no/such/file", "ended with 1$"), ("true", "no data")):
        with pytest.raises(DataError, match=f"pipe:.*{said}"):
            local_copy(f"pipe:{command}", cache)
    assert sorted(cache.iterdir()) == sorted(copies)


def test_the_web_needs_curl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(DataError, match="curl"):
        local_copy("http://127.0.0.1:1/a.tar", tmp_path)


def test_a_short_download_is_refused(stocked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system, _ = fsspec.core.url_to_fs(stocked)
    monkeypatch.setattr(system, "info", lambda *_, **__: {"size": 99, "type": "file"})
    with pytest.raises(DataError, match="3 bytes, the store says 99"):
        local_copy(f"{stocked}/00002.tar", tmp_path)
    assert not list(tmp_path.iterdir())
