from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import fsspec
import numpy as np
import pytest
import webdataset

from tbar_ray.data.corpus import Corpus
from tbar_ray.data.images import decode_image
from tbar_ray.data.members import IMAGE_EXTENSIONS
from tbar_ray.errors import DataError, ShardChangedError

from .tars import picture, sample, write_shard, write_tar


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for shard in range(3):
        write_shard(tmp_path / f"{shard:05d}.tar", [f"{shard:05d}{row:04d}" for row in range(4)])
    return tmp_path


def test_a_shard_that_changes_is_indexed_again(folder: Path) -> None:
    before = Corpus.open(str(folder)).keys
    shard = folder / "00001.tar"
    earlier = shard.stat()
    write_shard(shard, ["b1", "b2", "b3", "b4"])
    os.utime(shard, ns=(earlier.st_atime_ns, earlier.st_mtime_ns + 1))
    after = Corpus.open(str(folder)).keys
    assert list(after) == [*before[:4], "b1", "b2", "b3", "b4", *before[8:]]


def test_global_order_and_reads(folder: Path) -> None:
    corpus = Corpus.open(str(folder))
    assert len(corpus) == 12
    assert list(corpus.keys) == [f"{shard:05d}{row:04d}" for shard in range(3) for row in range(4)]
    assert len(corpus.shard_urls) == 3
    assert not corpus.problems
    assert decode_image(corpus.image_bytes(5)).shape == (16, 24, 3)
    assert corpus.image_extension(5) == "jpg"
    assert corpus.read(5, "txt") == b"a photo"
    assert corpus.caption(5) == "a photo"
    assert corpus.metadata(5) == {"caption": "a photo", "label": "red circle"}
    assert corpus.label(5) == "red circle"
    assert corpus.class_index(5) is None
    assert corpus.index_of("000010001") == 5
    assert corpus.shard_index(5) == 1


def test_agrees_with_webdataset(folder: Path) -> None:
    corpus = Corpus.open(str(folder))
    stream = webdataset.WebDataset(list(corpus.shard_urls), shardshuffle=False, empty_check=False)
    for position, item in enumerate(stream):
        assert item["__key__"] == corpus.keys[position]
        assert item["jpg"] == corpus.image_bytes(position)
    assert position + 1 == len(corpus)


def test_captions_and_classes(tmp_path: Path) -> None:
    image = picture(form="PNG")
    write_tar(
        tmp_path / "a.tar",
        [
            *[("a.png", image), ("a.json", b'{"caption": " from json ", "label": 3}')],
            *[("b.webp", image), ("b.txt", b" \n"), ("b.json", b'{"caption": "unused"}')],
            *[("c.jpeg", image), ("c.txt", b"caf\xe9 \n"), ("c.cls", b"17\n")],
            *[("d.jpg", image), ("d.png", b"second"), ("d.cls", b"x"), ("d.json", b"[1]")],
        ],
    )
    corpus = Corpus.open(str(tmp_path))
    assert [corpus.caption(i) for i in range(4)] == ["from json", None, "café", None]
    assert [corpus.image_extension(i) for i in range(4)] == ["png", "webp", "jpeg", "jpg"]
    assert corpus.label(0) == "3"
    assert corpus.label(2) is None
    assert corpus.metadata(2) == {}
    assert corpus.class_index(2) == 17
    with pytest.raises(DataError, match=r"d\.cls in .* is not a class index"):
        corpus.class_index(3)
    with pytest.raises(DataError, match="not a JSON object"):
        corpus.metadata(3)
    with pytest.raises(DataError, match=r"a: no \.cls"):
        corpus.read(0, "cls")
    with pytest.raises(DataError, match="no sample 'zz'"):
        corpus.index_of("zz")


def test_problems_are_collected_or_raised(folder: Path) -> None:
    write_tar(folder / "00003.tar", [*sample("000010001"), ("text.txt", b"no image"), *sample("new")])
    damaged = folder / "00002.tar"
    damaged.write_bytes(damaged.read_bytes()[:3000])
    corpus = Corpus.open(str(folder))
    assert corpus.keys[-1] == "new"
    assert len(set(corpus.keys)) == len(corpus)
    reasons = "\n".join(map(str, corpus.problems))
    for part in ("00002.tar: ", "000010001: duplicate key", "text: no image"):
        assert part in reasons
    assert corpus.index_of("000010001") == 5
    with pytest.raises(DataError, match=r"00002\.tar"):
        Corpus.open(str(folder), policy="error")


def test_nothing_in_it(tmp_path: Path) -> None:
    (tmp_path / "a.tar").touch()
    with pytest.raises(DataError, match=r"no sample with an image in .*a.tar.*empty file"):
        Corpus.open(str(tmp_path / "a.tar"))
    with pytest.raises(DataError, match="no such shard"):
        Corpus.open(str(tmp_path / "{a,b}.tar"))


def test_pickling_drops_the_open_files(folder: Path) -> None:
    corpus = Corpus.open(str(folder))
    size = len(pickle.dumps(corpus))
    assert corpus.image_bytes(3)
    assert corpus.index_of(corpus.keys[3]) == 3
    dumped = pickle.dumps(corpus)
    assert len(dumped) == size
    copy = pickle.loads(dumped)
    assert copy.keys == corpus.keys
    assert copy.image_bytes(11) == corpus.image_bytes(11)
    assert copy.index_of(corpus.keys[7]) == 7


def test_a_shard_that_changed(folder: Path) -> None:
    corpus = Corpus.open(str(folder))
    (folder / "00000.tar").write_bytes(b"short")
    with pytest.raises(DataError, match="changed since it was indexed"):
        corpus.image_bytes(0)
    (folder / "00001.tar").unlink()
    with pytest.raises(DataError, match="no such shard"):
        corpus.image_bytes(4)


def test_a_shard_of_the_same_size_that_was_written_anew_is_noticed_before_and_while_it_is_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus, mapped = Corpus.open(str(folder)), Corpus.open(str(folder))
    mapped.image_bytes(0)
    corpus.check_unchanged()
    content = bytearray((folder / "00000.tar").read_bytes())
    content[600:610] = bytes(10)
    (folder / "00000.tar").write_bytes(content)
    for reading in (lambda: corpus.image_bytes(0), corpus.check_unchanged, lambda: mapped.check_unchanged(0)):
        with pytest.raises(ShardChangedError, match=r"00000\.tar changed since it was indexed: run again"):
            reading()
    monkeypatch.setattr("tbar_ray.data.open_shards.CHECK_EVERY", -1)
    with pytest.raises(ShardChangedError):
        mapped.files(np.array([0]), ("jpg",))
    mapped.check_unchanged(4)  # of another shard
    assert Corpus.open(str(folder)).source != corpus.source


def upload(folder: Path, bucket: str) -> None:
    system, root = fsspec.core.url_to_fs(bucket)
    for tar in folder.glob("*.tar"):
        system.pipe_file(f"{root}/{tar.name}", tar.read_bytes())


def test_remote_shards(folder: Path, bucket: str, tmp_path: Path) -> None:
    upload(folder, bucket)
    cache = tmp_path / "cache"
    corpus = Corpus.open(bucket, cache=cache)
    local = Corpus.open(str(folder))
    assert corpus.keys == local.keys
    assert len(list(cache.glob("*.tar"))) == 3
    for file in cache.iterdir():  # as on another node, where nothing is downloaded yet
        file.unlink()
    copy = pickle.loads(pickle.dumps(corpus))
    assert copy.image_bytes(9) == local.image_bytes(9)
    assert len(list(cache.iterdir())) == 1


def test_an_indexed_remote_shard_need_not_be_there_to_be_opened(folder: Path, bucket: str, tmp_path: Path) -> None:
    upload(folder, bucket)
    cache = tmp_path / "cache"
    first = Corpus.open(bucket, cache=cache)
    for file in cache.glob("*.tar"):
        file.unlink()
    again = Corpus.open(bucket, cache=cache)
    assert not list(cache.glob("*.tar"))
    assert again.keys == first.keys
    assert again.problems == first.problems
    assert [again.caption(i) for i in range(len(again))] == [first.caption(i) for i in range(len(first))]


def test_a_cache_smaller_than_the_corpus_serves_every_sample(
    folder: Path, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(folder, bucket)
    largest = max(tar.stat().st_size for tar in folder.glob("*.tar"))
    monkeypatch.setenv("TBAR_CACHE_GB", str(1.5 * largest / 1e9))
    cache, local = tmp_path / "cache", Corpus.open(str(folder))
    corpus = Corpus.open(bucket, cache=cache)
    for _ in range(2):
        for i in reversed(range(len(corpus))):
            assert corpus.image_bytes(i) == local.image_bytes(i)
            assert sum(file.stat().st_size for file in cache.glob("*.tar")) <= 1.5 * largest
    fresh = pickle.loads(pickle.dumps(corpus))  # with no shard open
    assert [fresh.image_bytes(i) for i in range(len(fresh))] == [local.image_bytes(i) for i in range(len(local))]


def test_corpora_that_number_alike_are_joined(folder: Path) -> None:
    part = Corpus.open(str(folder))
    both = Corpus.joined([part, part])
    assert len(both) == len(set(both.keys)) == 2 * len(part)
    assert both.keys[0] == f"0/{part.keys[0]}"
    for i in range(len(part)):
        assert both.image_bytes(i) == both.image_bytes(len(part) + i) == part.image_bytes(i)
        assert both.caption(len(part) + i) == part.caption(i)
    assert both.shards(np.array([0, len(part)])).tolist() == [0, len(part.shard_urls)]
    assert Corpus.joined([part]) is part


def test_many_files_at_once_are_those_one_by_one(folder: Path) -> None:
    corpus = Corpus.open(str(folder))
    order = np.random.default_rng(0).permutation(len(corpus))
    assert corpus.files(order, IMAGE_EXTENSIONS) == [corpus.image_bytes(i) for i in order]
    expected = [corpus.read(i, "json") if corpus.has(i, "json") else None for i in order]
    assert corpus.files(order, ("json", "none")) == expected


def test_size_of_half_a_million_samples() -> None:
    count = 500_000
    spans = {name: np.zeros((count, 2), dtype=np.int64) for name in ("jpg", "txt", "json")}
    keys = [f"{i:09d}" for i in range(count)]
    corpus = Corpus(["a.tar"], keys, np.zeros(count, dtype=np.int32), spans, [], Path("cache"))
    arrays = sum(span.nbytes for span in corpus._spans.values()) + corpus._shard_of.nbytes
    assert corpus.index_of("000499999") == 499_999
    rows = corpus._rows or {}
    strings = sum(map(sys.getsizeof, keys)) + sys.getsizeof(corpus.keys)
    assert arrays + strings + sys.getsizeof(rows) + 28 * count < 200e6


def test_reading_needs_no_torch() -> None:
    program = "import sys, tbar_ray.data.corpus, tbar_ray.data.check; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_members_that_are_not_together_are_no_loss(tmp_path: Path) -> None:
    """As `tar cf x.tar *.jpg *.txt` packs them: everything is read, so nothing is to be told as lost, or an error."""
    samples = [sample(f"s{number}") for number in range(5)]
    write_tar(tmp_path / "a.tar", [member for place in range(2) for members in samples for member in [members[place]]])
    corpus = Corpus.open(str(tmp_path), policy="error")
    assert (len(corpus), corpus.problems) == (5, ())
    assert corpus.read(4, "txt") == dict(samples[4])["s4.txt"]


def test_class_numbers_may_have_a_byte_order_mark(tmp_path: Path) -> None:
    files = [("a.jpg", picture()), ("a.cls", b"\xef\xbb\xbf12\r\n"), ("b.jpg", picture()), ("b.cls", b"\xff")]
    write_tar(tmp_path / "a.tar", files)
    corpus = Corpus.open(str(tmp_path))
    assert corpus.class_index(0) == 12
    with pytest.raises(DataError, match=r"b\.cls in .* is not a class index"):
        corpus.class_index(1)
