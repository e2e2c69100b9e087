import re
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import fsspec
import numpy as np
import pytest

from tbar_ray.data.benchmark_layout import has_split, load_images, open_split, read_lines
from tbar_ray.data.images import load_image
from tbar_ray.errors import DataError
from tests.data.tars import picture, write_tar


def write_split(folder: Path, shards: list[list[str]]) -> None:
    """Write shards of plain pictures, each as bright as its number."""
    folder.mkdir(parents=True)
    (folder / "nshards.txt").write_text(f"{len(shards)}\n")
    number = 0
    for index, keys in enumerate(shards):
        members = []
        for key in keys:
            members.append((f"{key}.jpg", picture(value=number)))
            number += 20
        write_tar(folder / f"{index}.tar", members)


def test_lines_are_stripped_and_blank_ones_dropped(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("  café \r\n\n\tdog\n", encoding="utf-8")
    assert read_lines(f"{tmp_path}/", "x.txt") == ["café", "dog"]
    with pytest.raises(DataError, match="cannot be read"):
        read_lines("nosuch://place", "x.txt")
    (tmp_path / "y.txt").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(DataError, match=r"y\.txt line 1: not UTF-16-LE text"):
        read_lines(str(tmp_path), "y.txt")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("\n<!DOCTYPE html>\n<html>", "is a web page"),
        ("<HTML><body>", "is a web page"),
        ("<?xml version='1.0'?><Error/>", "is an answer of a web server"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a pointer of Git LFS"),
        ("\x1f\x8b\x08", "is compressed by gzip"),
    ],
)
def test_what_stands_in_the_place_of_a_text_file_is_told(content: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes(content.encode("latin-1"))
    with pytest.raises(DataError, match=rf"/x\.txt {said}"):
        read_lines(str(tmp_path), "x.txt")
    (tmp_path / "x.txt").write_text("<b>|c\n")
    assert read_lines(str(tmp_path), "x.txt") == ["<b>|c"]


def test_has_split(tmp_path: Path) -> None:
    write_split(tmp_path / "set" / "test", [["a"]])
    (tmp_path / "set" / "train").mkdir()
    for url in (f"{tmp_path}/set", f"{tmp_path}/set/", f"file://{tmp_path}/set"):
        assert has_split(url, "test")
        assert not has_split(url, "train")
    assert not has_split(f"{tmp_path}/none", "test")


def test_a_place_that_cannot_be_looked_up_is_not_a_missing_split(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bool:
        raise PermissionError("403")

    for asked in (has_split, open_split):
        with pytest.raises(DataError, match=r"nosuch://place/train/nshards\.txt: Protocol not known: nosuch"):
            asked("nosuch://place", "train")
    monkeypatch.setattr(fsspec.get_filesystem_class("memory"), "exists", fail)
    with pytest.raises(DataError, match=r"cannot look up memory://place/train/nshards\.txt: 403"):
        has_split("memory://place", "train")


class Answering(BaseHTTPRequestHandler):
    """A web server whose answer is the number in the path."""

    def do_GET(self) -> None:
        self.send_response(int(self.path.split("/")[1]))
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET  # noqa: N815 - the name that the server calls

    def log_message(self, *words: object) -> None:
        """Say nothing."""


def test_a_web_server_that_fails_is_no_missing_split() -> None:
    with HTTPServer(("127.0.0.1", 0), Answering) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        place = f"http://127.0.0.1:{server.server_port}"
        assert has_split(f"{place}/200", "test")
        for hidden in (404, 403, 401):  # object stores answer so for what is not there and may not be listed
            assert not has_split(f"{place}/{hidden}", "test")
        with pytest.raises(DataError, match=r"^cannot look up .*/500/test/nshards\.txt: .*500"):
            has_split(f"{place}/500", "test")
        server.shutdown()


def test_shards_are_read_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    shards = [[f"s{number}"] for number in range(11)]
    write_split(tmp_path / "train", shards)
    corpus = open_split(str(tmp_path), "train", cache=tmp_path)
    assert [corpus.name(i) for i in range(11)] == [f"s{number}" for number in range(11)]  # 10.tar last, not after 1.tar
    images = load_images(corpus, np.array([10, 0]), 16, "bicubic").images
    assert images.shape == (2, 3, 16, 16)
    assert images.mean((1, 2, 3)) == pytest.approx([200, 0], abs=2)
    assert np.array_equal(images[0], load_image(corpus.image_bytes(10), 16, "bicubic"))


def test_keys_are_of_their_split_and_set_wherever_it_lies(tmp_path: Path) -> None:
    numbers = [[f"s{number:07d}" for number in range(start, start + 3)] for start in (0, 3)]
    every = [key for shard in numbers for key in shard]
    for name in ("here", "there"):
        for split in ("train", "test"):
            write_split(tmp_path / name / split, numbers)
    write_split(tmp_path / "other" / "test", [every, ["s0000006"]])
    write_split(tmp_path / "joined" / "test", [every])
    train, test = (open_split(str(tmp_path / "here"), split) for split in ("train", "test"))  # type: ignore[arg-type]
    assert [train.name(i) for i in range(6)] == [test.name(i) for i in range(6)] == every
    other = open_split(str(tmp_path / "other"), "test")
    assert len({*train.keys, *test.keys, *other.keys}) == 6 + 6 + 7
    assert test.keys[0] == f"test-{test.signature()}/s0000000"
    assert list(open_split(str(tmp_path / "there"), "test").keys) == list(test.keys)
    assert set(open_split(str(tmp_path / "joined"), "test").keys) == set(test.keys)
    assert test.index_of(test.keys[4]) == 4
    assert test.image_bytes(4) == train.image_bytes(4)


def test_a_shard_that_is_not_there_is_named(tmp_path: Path) -> None:
    write_split(tmp_path / "train", [["a"], ["b"]])
    (tmp_path / "train" / "1.tar").unlink()
    with pytest.raises(DataError, match=r"train/1\.tar"):
        open_split(str(tmp_path), "train")


def test_an_image_that_cannot_be_read_is_named_with_its_shard(tmp_path: Path) -> None:
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "nshards.txt").write_bytes(b"\xef\xbb\xbf1\r\n")
    members = [(f"s{number}.jpg", picture(value=40 * number)) for number in range(4)]
    members[2] = ("s2.jpg", members[2][1][:300])
    write_tar(tmp_path / "test" / "0.tar", members)
    corpus = open_split(str(tmp_path), "test")
    place = f"{tmp_path}/test/0.tar: s2: unreadable image: "
    with pytest.raises(DataError, match=f"^{re.escape(place)}"):
        load_images(corpus, range(4), 8, "bicubic")
    loaded = load_images(corpus, [3, 2, 0], 8, "bicubic", "warn")
    assert loaded.positions.tolist() == [3, 0]
    assert [image.mean().round() for image in loaded.images] == [120, 0]
    assert len(loaded.lost) == 1
    assert loaded.lost[0].startswith(place)
    with pytest.raises(DataError, match=f"none of 1 images can be read; first: {re.escape(place)}"):
        load_images(corpus, [2], 8, "bicubic", "warn")


def test_damage_of_a_shard_is_an_error_where_the_policy_says_so(tmp_path: Path) -> None:
    write_split(tmp_path / "test", [["a", "b", "c"]])
    shard = tmp_path / "test" / "0.tar"
    shard.write_bytes(shard.read_bytes()[:2500])
    assert [problem.shard for problem in open_split(str(tmp_path), "test").problems] == [str(shard)]
    with pytest.raises(DataError, match=r"0\.tar: .*truncated"):
        open_split(str(tmp_path), "test", policy="error")
