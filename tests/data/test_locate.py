from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import fsspec
import pytest

from tbar_ray.data.download import local_copy
from tbar_ray.data.locate import describe_shards, expand_shards
from tbar_ray.data.places import is_remote
from tbar_ray.errors import DataError


def names(shards: tuple[str, ...]) -> list[str]:
    return [Path(shard).name for shard in shards]


ALL = ["00000.tar", "00001.tar", "00002.tar"]


@pytest.mark.parametrize("pattern", ["", "/*.tar", "/0000?.tar", "/{00000..00002}.tar", "/{00000,0000[12]}.tar"])
def test_local_patterns(folder: Path, pattern: str) -> None:
    assert names(expand_shards(f"{folder}{pattern}")) == ALL
    assert names(expand_shards(f"file://{folder}{pattern}")) == ALL


def test_lists_keep_their_order_and_drop_repeats(folder: Path) -> None:
    shards = expand_shards([f"{folder}/00002.tar", str(folder)])
    assert names(shards) == ["00002.tar", "00000.tar", "00001.tar"]


def test_relative_paths_become_absolute(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert expand_shards("00001.tar") == (str(folder / "00001.tar"),)


def test_a_file_whose_name_looks_like_a_pattern(tmp_path: Path) -> None:
    odd = tmp_path / "a[1]{b,c}.tar"
    odd.touch()
    assert expand_shards(str(odd)) == (str(odd),)


def test_a_pattern_may_be_longer_than_a_name(tmp_path: Path) -> None:
    numbers = [f"{number:05d}" for number in range(80)]
    for number in numbers:
        (tmp_path / f"{number}.tar").touch()
    assert names(expand_shards(f"{tmp_path}/{{{','.join(numbers)}}}.tar")) == [f"{number}.tar" for number in numbers]


@pytest.mark.parametrize("pattern", ["", "/*.tar", "/0000[0-2].tar", "/{00000..00002}.tar"])
def test_a_folder_is_meant_as_it_is_written(pattern: str, tmp_path: Path) -> None:
    odd = tmp_path / "odd dir [v2] {a,b} *" / "deep"
    odd.mkdir(parents=True)
    for name in ALL:
        (odd / name).touch()
    assert expand_shards(f"{odd}{pattern}") == tuple(str(odd / name) for name in ALL)


def test_home_and_variables_are_places_of_shards(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    monkeypatch.setenv("SHARDS", str(folder))
    expected = tuple(str(folder / name) for name in ALL)
    assert expand_shards(f"~/{folder.name}") == expected
    assert expand_shards("$SHARDS/{00000..00002}.tar") == expected
    assert local_copy("$SHARDS/00000.tar", folder) == folder / "00000.tar"


def test_a_remote_name_with_braces_is_no_pattern_where_it_is_there(bucket: str) -> None:
    system, root = fsspec.core.url_to_fs(bucket)
    system.pipe_file(f"{root}/a{{b}}[1].tar", b"x")
    assert expand_shards(f"{bucket}/a{{b}}[1].tar") == (f"{bucket}/a{{b}}[1].tar",)


@pytest.mark.parametrize("pattern", ["", "/*.tar", "/{00000..00002}.tar"])
def test_remote_patterns(stocked: str, pattern: str) -> None:
    shards = expand_shards(stocked + pattern)
    assert names(shards) == ALL
    assert all(is_remote(shard) for shard in shards)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("/{00000..00003}.tar", "no such shard.*00003"),
        ("/x*.tar", "no shard matches"),
        ("/none", "no such shard"),
        ("/{a,b", "unbalanced"),
    ],
)
def test_what_is_not_there(folder: Path, stocked: str, pattern: str, message: str) -> None:
    for base in (str(folder), stocked):
        with pytest.raises(DataError, match=message) as caught:
            expand_shards(base + pattern)
        assert "\n" not in str(caught.value)


def test_refusals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"no \*\.tar in the directory"):
        expand_shards(str(tmp_path))
    with pytest.raises(DataError, match="empty"):
        expand_shards([])
    with pytest.raises(DataError, match="nosuchscheme"):
        expand_shards("nosuchscheme://a/b.tar")

    def absent(url: str) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", absent)
    with pytest.raises(DataError, match=r"pip install tbar-ray\[s3\]"):
        expand_shards("s3://bucket/a.tar")


@contextmanager
def web_server(folder: Path) -> Iterator[str]:
    """Serve a folder on loopback; yield its URL."""
    handler = partial(QuietHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


def test_shards_of_a_web_server(folder: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with web_server(folder) as url:
        urls = expand_shards(f"{url}/0000{{0..2}}.tar")
        assert urls == tuple(f"{url}/0000{number}.tar" for number in range(3))
        assert [entry["size"] for entry in describe_shards(urls)] == [1, 2, 3]
        copies = [local_copy(one, cache) for one in urls]
        assert [copy.read_bytes() for copy in copies] == [b"x", b"xx", b"xxx"]
        with pytest.raises(DataError, match="no such shard"):
            expand_shards(f"{url}/00009.tar")
        with pytest.raises(DataError, match="cannot download"):
            local_copy(f"{url}/00009.tar", cache)
    assert sorted(cache.iterdir()) == sorted(copies)
    # the server is gone, the copies stay
    assert local_copy(urls[0], cache) == copies[0]


def test_describe(folder: Path, stocked: str) -> None:
    for base in (str(folder), stocked):
        described = describe_shards(base)
        assert [entry["size"] for entry in described] == [1, 2, 3]
        assert names(tuple(entry["url"] for entry in described)) == ALL


@pytest.mark.parametrize(
    ("name", "said"),
    [("pairs.CSV", "is a table, not a shard"), ("images.zip", "is an archive, not a shard: unpack it")],
)
def test_tables_and_archives_are_no_shards(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(DataError, match=f"{name} {said}"):
        expand_shards(str(tmp_path / name))


def test_a_variable_that_is_not_set_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOWHERE", raising=False)
    for place in ("$NOWHERE/x.tar", "$NOWHERE/{0..3}.tar", "$NOWHERE/*.tar"):
        with pytest.raises(DataError, match=r"^no s.*\(\$NOWHERE is not set\)$"):
            expand_shards(f"{tmp_path}/{place}")


@pytest.mark.parametrize("place", ["", " ", "pipe:", "pipe: "])
def test_an_empty_place_is_no_shard(place: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)  # which has shards
    with pytest.raises(DataError, match="names an empty place"):
        expand_shards(["00000.tar", place])


def test_backslashes_are_part_of_names_and_commands(tmp_path: Path) -> None:
    for number in range(2):
        (tmp_path / f"a\\b {number}.tar").touch()
    assert names(expand_shards(f"{tmp_path}/a\\b {{0,1}}.tar")) == ["a\\b 0.tar", "a\\b 1.tar"]
    assert expand_shards(f"pipe:cat {tmp_path}/a\\\\b\\ {{0,1}}.tar") == tuple(
        f"pipe:cat {tmp_path}/a\\\\b\\ {number}.tar" for number in range(2)
    )
    assert expand_shards(r"pipe:awk '\{print $1,$2\}' {a,b}") == (
        "pipe:awk '{print $1,$2}' a", "pipe:awk '{print $1,$2}' b",
    )  # fmt: skip


class Failing(BaseHTTPRequestHandler):
    """A web server that has what it is asked for, lacks it, or fails, by the path."""

    def do_GET(self) -> None:
        self.send_response({"/there.tar": 200, "/gone.tar": 404, "/odd.tar": 501}.get(self.path, 500))
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET  # noqa: N815 - the name that the server calls

    def log_message(self, *words: object) -> None:
        """Say nothing."""


def test_a_server_that_fails_is_not_a_shard_that_is_missing(tmp_path: Path) -> None:
    with HTTPServer(("127.0.0.1", 0), Failing) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        place = f"http://127.0.0.1:{server.server_port}"
        assert expand_shards(f"{place}/there.tar") == (f"{place}/there.tar",)
        with pytest.raises(DataError, match=r"^no such shard: "):
            expand_shards(f"{place}/gone.tar")
        with pytest.raises(DataError, match=r"^cannot look up .*broken\.tar: .*500"):
            expand_shards(f"{place}/broken.tar")
        with pytest.raises(DataError, match=r"^cannot download .*odd\.tar: the web server answers with an error$"):
            local_copy(f"{place}/odd.tar", tmp_path)  # of a 500, curl asks again for a minute
        server.shutdown()
