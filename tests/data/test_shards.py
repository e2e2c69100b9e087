from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import tarfile
from pathlib import Path

import pytest
import webdataset
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tbar_ray.data import shards
from tbar_ray.data.shards import ShardIndex, index_shard, split_name
from tbar_ray.errors import DataError

from .tars import sample, write_shard, write_tar

KEYS = [f"{number:05d}" for number in range(6)]
FORMATS = [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT]


def contents(path: Path, index: ShardIndex) -> dict[str, bytes]:
    data = path.read_bytes()
    found = {}
    for extension, spans in index.spans.items():
        for key, (offset, size) in zip(index.keys, spans.tolist(), strict=True):
            if offset >= 0:
                found[f"{key}.{extension}"] = data[offset : offset + size]
    return found


def reasons(index: ShardIndex) -> str:
    return "\n".join(str(problem) for problem in index.problems)


@pytest.mark.parametrize("form", FORMATS)
def test_samples_and_bytes(tmp_path: Path, form: int) -> None:
    members = [member for key in KEYS for member in sample(key)]
    path = write_tar(tmp_path / "a.tar", members, form)
    index = index_shard(path)
    assert index.url == str(path)
    assert index.keys == tuple(KEYS)
    assert contents(path, index) == dict(members)
    assert not index.problems
    assert index.spans["jpg"].shape == (6, 2)


def test_webdataset_writer(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with webdataset.TarWriter(str(path)) as writer:
        for key in KEYS:
            writer.write({"__key__": f"train/{key}", "jpg": b"i" * 700, "txt": "caption", "cls": 3})
    index = index_shard(path, "s3://bucket/a.tar")
    assert index.url == "s3://bucket/a.tar"
    assert index.keys == tuple(f"train/{key}" for key in KEYS)
    assert contents(path, index)["train/00003.cls"] == b"3"
    assert not index.problems


def test_key_rule(tmp_path: Path) -> None:
    assert split_name("a/b.c/d.Seg.PNG") == ("a/b.c/d", "seg.png")
    assert split_name("./a.jpg") == ("./a", "jpg")
    for name in ("readme", "a.b/readme", ".hidden", "a.", "d/"):
        assert split_name(name) is None
    path = write_tar(tmp_path / "a.tar", [("readme", b"x"), ("a.JPG", b"i"), ("a.seg.png", b"s"), ("b.txt", b"t")])
    index = index_shard(path)
    assert index.keys == ("a", "b")
    assert index.spans["txt"].tolist()[0] == [-1, -1]
    assert set(index.spans) == {"jpg", "seg.png", "txt"}


def test_directories_and_links_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        for name, kind in (("d.x", tarfile.DIRTYPE), ("l.jpg", tarfile.SYMTYPE), ("f.jpg", tarfile.FIFOTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "t" * 150
            tar.addfile(info)
        info = tarfile.TarInfo("a.jpg")
        info.size = 2
        tar.addfile(info, io.BytesIO(b"ab"))
    index = index_shard(path)
    assert contents(path, index) == {"a.jpg": b"ab"}
    (problem,) = index.problems
    assert (problem.key, problem.lossless) == ("l", False)
    assert problem.reason == "its .jpg is a link: pack the shard with `tar --dereference --hard-dereference`"


def test_the_second_name_of_one_file_is_named_as_a_link(tmp_path: Path) -> None:
    """As GNU tar packs files of which a data set has copies by `ln`."""
    (tmp_path / "a.jpg").write_bytes(b"ab")
    (tmp_path / "b.jpg").hardlink_to(tmp_path / "a.jpg")
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name in ("a.jpg", "b.jpg"):
            tar.add(tmp_path / name, name)
    index = index_shard(tmp_path / "a.tar")
    assert contents(tmp_path / "a.tar", index) == {"a.jpg": b"ab"}
    assert [problem.key for problem in index.problems] == ["b"]


@pytest.mark.parametrize("form", FORMATS)
def test_long_names(tmp_path: Path, form: int) -> None:
    names = [f"{'d' * 90}/{'k' * 60}{number}.jpg" for number in range(3)] + ["short.jpg"]
    if form != tarfile.USTAR_FORMAT:
        names += [f"{'é' * 200}.jpg", f"{'x' * 3000}.txt", "short2.jpg"]
    path = write_tar(tmp_path / "a.tar", [(name, name.encode()) for name in names], form)
    index = index_shard(path)
    assert contents(path, index) == {name: name.encode() for name in names}
    assert not index.problems


def test_pax_size_and_globals(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT, pax_headers={"comment": "é"}) as tar:
        info = tarfile.TarInfo("a.jpg")
        info.size, info.mtime = 3, 1.5  # a fractional time needs a PAX header
        tar.addfile(info, io.BytesIO(b"abc"))
    assert contents(path, index_shard(path)) == {"a.jpg": b"abc"}


def test_empty_file_and_empty_tar(tmp_path: Path) -> None:
    empty = tmp_path / "empty.tar"
    empty.touch()
    assert "empty file" in reasons(index_shard(empty))
    index = index_shard(write_tar(tmp_path / "none.tar", []))
    assert index.keys == ()
    assert not index.problems


def test_missing_shard(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read shard .*none.tar"):
        index_shard(tmp_path / "none.tar")


def test_truncated_in_data(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "a.tar", KEYS)
    whole = index_shard(path)
    offset = int(whole.spans["jpg"][4, 0])
    path.write_bytes(path.read_bytes()[: offset + 10])
    index = index_shard(path)
    assert index.keys == tuple(KEYS[:4])
    assert re.search("00004: truncated: 00004.jpg lacks its last", reasons(index))


def test_truncated_in_a_header_and_between_members(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "a.tar", KEYS)
    data, offset = path.read_bytes(), int(index_shard(path).spans["jpg"][4, 0])
    path.write_bytes(data[: offset - 100])
    index = index_shard(path)
    assert index.keys == tuple(KEYS[:4])
    assert "truncated in a header" in reasons(index)
    path.write_bytes(data[: offset - 512])
    assert index_shard(path).keys == tuple(KEYS[:4])
    assert "no end-of-archive marker" in reasons(index_shard(path))


def test_truncated_in_a_long_name(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", [("a.jpg", b"x"), ("k" * 2000 + ".jpg", b"x")])
    path.write_bytes(path.read_bytes()[:2000])
    assert "truncated in a long name" in reasons(index_shard(path))
    assert index_shard(path).keys == ("a",)


@pytest.mark.parametrize("length", [8, 512, 1500])
def test_garbage_in_the_middle(tmp_path: Path, length: int) -> None:
    path = write_shard(tmp_path / "a.tar", KEYS)
    whole = index_shard(path)
    data, start = bytearray(path.read_bytes()), int(whole.spans["jpg"][2, 0]) - 512
    data[start : start + length] = b"\xa5" * length
    path.write_bytes(data)
    index = index_shard(path)
    assert len(index.problems) == 1
    assert f"bad tar header at byte {start}" in reasons(index)
    expected = {name: value for name, value in contents(path, whole).items() if name != "00002.jpg"}
    found = contents(path, index)
    assert set(expected) - set(found) <= {"00002.txt", "00002.json"}
    assert {key.split(".")[0] for key in found} >= set(KEYS) - {"00002"}
    assert all(expected[name] == value for name, value in found.items())


def test_zeros_in_the_middle_and_at_the_end(tmp_path: Path) -> None:
    path = write_shard(tmp_path / "a.tar", KEYS)
    data, start = bytearray(path.read_bytes()), int(index_shard(path).spans["jpg"][2, 0]) - 512
    holed = data.copy()
    holed[start : start + 1024] = bytes(1024)
    path.write_bytes(holed)
    index = index_shard(path)
    assert f"bytes without members at byte {start}" in reasons(index)
    assert index.keys[-1] == KEYS[-1]
    path.write_bytes(data[:start] + bytes(2 << 20))
    assert "not fully downloaded" in reasons(index_shard(path))


def test_not_a_tar(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(b"<html>404</html>" * 100)
    assert "bad tar header at byte 0" in reasons(index_shard(path))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (gzip.compress(b"x" * 5000) + bytes(1024), "compressed by gzip: unpack it"),
        (bz2.compress(b"x" * 5000) + bytes(1024), "compressed by bzip2: unpack it"),
        (lzma.compress(b"x" * 5000) + bytes(1024), "compressed by xz: unpack it"),
        (b"\x28\xb5\x2f\xfd" + bytes(1024), "compressed by zstd: unpack it"),
        (b"PK\x03\x04" + bytes(1024), "a zip archive: unpack it"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"\n<!DOCTYPE html>" * 100, "a web page"),
        (b"<?xml version='1.0'?><Error/>", "an answer of a web server"),
        (b"<Error><Code>AccessDenied</Code></Error>", "the download failed"),
    ],
)
def test_what_is_no_tar_is_told_by_its_first_bytes(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(content)
    (problem,) = index_shard(path).problems
    assert said in problem.reason


def test_duplicate_keys_keep_the_first(tmp_path: Path) -> None:
    members = [("a.jpg", b"1"), ("a.jpg", b"2"), ("b.jpg", b"3"), ("a.jpg", b"4"), ("a.txt", b"5")]
    path = write_tar(tmp_path / "a.tar", members)
    index = index_shard(path)
    assert contents(path, index) == {"a.jpg": b"1", "b.jpg": b"3"}
    assert [problem.key for problem in index.problems] == ["a", "a"]
    assert all(problem.reason.startswith(shards.DUPLICATE) for problem in index.problems)


def test_too_many_extensions(tmp_path: Path) -> None:
    members = [(f"k{number}.e{number}", b"x") for number in range(200)] + [("z.jpg", b"i")]
    index = index_shard(write_tar(tmp_path / "a.tar", members))
    assert len(index.spans) == shards.MAX_EXTENSIONS + 1
    assert index.spans["jpg"][-1, 1] == 1
    assert "dots in keys" in reasons(index)


STEM = st.text("abé/-_ .", min_size=1, max_size=130).filter(lambda text: not text.startswith("/"))
MEMBERS = st.lists(st.tuples(STEM, st.sampled_from(["jpg", "TXT", "seg.png"]), st.binary(max_size=1100)), max_size=12)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(members=MEMBERS, form=st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]))
def test_agrees_with_tarfile(tmp_path: Path, members: list[tuple[str, str, bytes]], form: int) -> None:
    path = write_tar(tmp_path / "a.tar", [(f"{stem}.{end}", data) for stem, end, data in members], form)
    expected: list[tuple[str, int, int]] = []
    with tarfile.open(path) as tar:
        expected = [(info.name, info.offset_data, info.size) for info in tar if info.isreg()]
    seen: dict[tuple[str, str], tuple[int, int]] = {}
    previous: str | None = None
    dropped = False
    for name, offset, size in expected:
        split = split_name(name)
        if split is None:
            continue
        if split[0] != previous:
            dropped = split in seen  # a sample that comes back whole, not a member of one that is scattered
        previous = split[0]
        if not dropped:
            seen.setdefault(split, (offset, size))
    index = index_shard(path)
    assert {
        (key, extension): tuple(span)
        for extension, spans in index.spans.items()
        for key, span in zip(index.keys, spans.tolist(), strict=True)
        if span[0] >= 0
    } == seen
    others = [problem for problem in index.problems if not problem.reason.startswith(shards.DUPLICATE)]
    assert len(others) <= 1
    assert all("tar --sort=name" in problem.reason for problem in others)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_damage_never_raises(tmp_path: Path, data: st.DataObject) -> None:
    path = write_tar(tmp_path / "a.tar", [m for key in KEYS[:3] for m in sample(key)], tarfile.PAX_FORMAT)
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(raw) - 1))
        piece = data.draw(st.binary(min_size=1, max_size=600))
        raw[start : start + len(piece)] = piece
    path.write_bytes(raw[: data.draw(st.integers(0, len(raw)))])
    index = index_shard(path)
    size = path.stat().st_size
    assert all(int(span.sum(axis=1).max(initial=0)) <= size for span in index.spans.values())


def test_members_that_are_not_together_are_joined_with_one_line(tmp_path: Path) -> None:
    """As `tar cf x.tar *.jpg *.txt` packs them."""
    members = [(f"s{n}.{kind}", f"{kind}{n}".encode()) for kind in ("jpg", "txt") for n in range(30)]
    path = write_tar(tmp_path / "a.tar", members)
    index = index_shard(path)
    assert contents(path, index) == dict(members)
    assert index.keys == tuple(f"s{n}" for n in range(30))
    (problem,) = index.problems
    assert (problem.key, problem.reason[:58]) == (None, "30 members not beside the others of their sample (first: s")
    assert "tar --sort=name" in problem.reason


def test_a_sample_that_comes_back_whole_is_a_duplicate_and_not_joined(tmp_path: Path) -> None:
    first, other, again = [("a.jpg", b"1"), ("a.txt", b"1")], [("b.jpg", b"2")], [("a.jpg", b"3"), ("a.json", b"3")]
    path = write_tar(tmp_path / "a.tar", [*first, *other, *again])
    index = index_shard(path)
    assert contents(path, index) == dict([*first, *other])
    assert [(p.key, p.reason) for p in index.problems] == [
        ("a", f"{shards.DUPLICATE} in the shard: the later sample is dropped")
    ]
