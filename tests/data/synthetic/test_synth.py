import errno
import hashlib
import io
import json
import subprocess
import sys
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tbar_ray.data.synthetic.captions import ZEROSHOT_TEMPLATES
from tbar_ray.data.synthetic.options import WritingOptions
from tbar_ray.data.synthetic.scenes import CLASS_NAMES
from tbar_ray.data.synthetic.synth import write_corpus, write_evaluation_set
from tbar_ray.errors import DataError


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def _contents(folder: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                file = tar.extractfile(member)
                assert file is not None
                found[member.name] = file.read()
    return found


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("corpus")
    write_corpus(out, WritingOptions(size=32, samples_per_shard=100, seed=7, workers=1), samples=250)
    return out


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("evaluation")
    write_evaluation_set(out, WritingOptions(size=32, samples_per_shard=100, seed=7, workers=1), per_class=3)
    return out


def test_files_are_equal_to_the_byte_for_any_number_of_workers(corpus: Path, evaluation: Path, tmp_path: Path) -> None:
    seen: list[int] = []
    summary = write_corpus(
        tmp_path / "c",
        WritingOptions(size=32, samples_per_shard=100, seed=7, workers=2),
        samples=250,
        progress=seen.append,
    )
    assert _digests(tmp_path / "c") == _digests(corpus)
    assert sorted(seen) == [50, 100, 100]
    assert (summary.samples, summary.shards) == (250, 3)
    assert summary.bytes == sum(p.stat().st_size for p in corpus.glob("*.tar"))
    write_evaluation_set(tmp_path / "e", WritingOptions(size=32, samples_per_shard=100, seed=7, workers=2), per_class=3)
    assert _digests(tmp_path / "e") == _digests(evaluation)


def test_another_seed_gives_other_pictures(corpus: Path, tmp_path: Path) -> None:
    write_corpus(tmp_path, WritingOptions(size=32, samples_per_shard=100, seed=8, workers=1), samples=250)
    images = {hashlib.sha256(v).digest() for k, v in _contents(tmp_path).items() if k.endswith(".jpg")}
    assert len(images) == 250
    assert not images & {hashlib.sha256(v).digest() for v in _contents(corpus).values()}


def test_corpus_has_img2datasets_layout(corpus: Path) -> None:
    expected = {f"{n:05d}{ending}" for n in range(3) for ending in (".tar", "_stats.json")}
    assert {p.name for p in corpus.iterdir()} == expected
    stats = json.loads((corpus / "00002_stats.json").read_text())
    assert (stats["count"], stats["successes"], stats["failed_to_download"]) == (50, 50, 0)
    contents = _contents(corpus)
    keys = [f"{n // 100:05d}{n % 100:04d}" for n in range(250)]
    assert set(contents) == {f"{key}.{ending}" for key in keys for ending in ("jpg", "txt", "json")}
    for key in keys:
        record: dict[str, Any] = json.loads(contents[f"{key}.json"])
        assert list(record) == sorted(record)
        assert record["key"] == key
        assert record["caption"] == contents[f"{key}.txt"].decode()
        assert record["label"] == f"{record['colour']} {record['shape']}"
        assert record["label"] in record["caption"]
        assert record["sha256"] == hashlib.sha256(contents[f"{key}.jpg"]).hexdigest()
        assert (record["status"], record["seed"], record["width"], record["original_height"]) == (
            "success",
            7,
            32,
            32,
        )
    assert Image.open(io.BytesIO(contents["000000000.jpg"])).size == (32, 32)


def test_classes_are_balanced_to_within_one_and_shuffled(corpus: Path) -> None:
    labels = [json.loads(v)["label"] for k, v in sorted(_contents(corpus).items()) if k.endswith(".json")]
    counts = Counter(labels)
    assert set(counts) == set(CLASS_NAMES)
    assert max(counts.values()) - min(counts.values()) <= 1
    assert labels[:60] != list(CLASS_NAMES)


def test_tar_headers_carry_no_clock_or_owner(corpus: Path) -> None:
    with tarfile.open(corpus / "00000.tar") as tar:
        assert {(m.mtime, m.uid, m.gid, m.uname, m.mode) for m in tar} == {(0, 0, 0, "", 0o444)}


def test_webdataset_reads_both_layouts(corpus: Path, evaluation: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    shards = [str(p) for p in sorted(corpus.glob("*.tar"))]
    samples = list(webdataset.WebDataset(shards, shardshuffle=False).decode("pil"))
    assert len(samples) == 250
    assert all(s["json"]["caption"] == s["txt"] and s["jpg"].size == (32, 32) for s in samples)
    shards = [str(p) for p in sorted((evaluation / "test").glob("*.tar"))]
    pairs = list(webdataset.WebDataset(shards, shardshuffle=False).decode("pil").to_tuple("jpg", "cls"))
    assert Counter(label for _, label in pairs) == dict.fromkeys(range(60), 3)


def test_evaluation_set_has_clip_benchmarks_layout(evaluation: Path) -> None:
    assert (evaluation / "classnames.txt").read_text().splitlines() == list(CLASS_NAMES)
    templates = (evaluation / "zeroshot_classification_templates.txt").read_text().splitlines()
    assert templates == list(ZEROSHOT_TEMPLATES)
    assert (evaluation / "test" / "nshards.txt").read_text().strip() == "2"
    assert {p.name for p in (evaluation / "test").iterdir()} == {"nshards.txt", "0.tar", "1.tar"}


def test_evaluation_repeats_no_key_and_no_picture_of_the_corpus(corpus: Path, evaluation: Path) -> None:
    train, test = _contents(corpus), _contents(evaluation / "test")
    assert not {name.split(".")[0] for name in train} & {name.split(".")[0] for name in test}
    assert not set(train.values()) & {v for k, v in test.items() if k.endswith(".jpg")}


def test_png_keeps_the_rendered_pixels(tmp_path: Path) -> None:
    write_corpus(tmp_path / "png", WritingOptions(size=16, workers=1, image_format="png"), samples=2)
    write_corpus(tmp_path / "jpg", WritingOptions(size=16, workers=1), samples=2)
    lossless = np.asarray(Image.open(io.BytesIO(_contents(tmp_path / "png")["000000001.png"])), np.float64)
    lossy = np.asarray(Image.open(io.BytesIO(_contents(tmp_path / "jpg")["000000001.jpg"])), np.float64)
    assert 0 < np.abs(lossless - lossy).mean() < 6


def test_wrong_captions_tell_another_class_and_leave_the_images(tmp_path: Path) -> None:
    def members(name: str, wrong: float) -> dict[str, bytes]:
        write_corpus(tmp_path / name, WritingOptions(size=16, workers=1), samples=200, wrong_captions=wrong)
        with tarfile.open(tmp_path / name / "00000.tar") as shard:
            return {member.name: shard.extractfile(member).read() for member in shard}  # type: ignore[union-attr]

    right, noisy = members("right", 0.0), members("noisy", 0.3)
    changed = [name for name in right if right[name] != noisy[name] and name.endswith(".txt")]
    assert 40 < len(changed) < 80
    assert all(right[name] == noisy[name] for name in right if name.endswith(".jpg"))
    records = [json.loads(noisy[name.replace(".txt", ".json")]) for name in changed]
    assert not any(record["label"] in record["caption"] for record in records)
    assert members("again", 0.3) == noisy


def test_a_folder_with_shards_is_refused_unless_overwritten(tmp_path: Path) -> None:
    write_corpus(tmp_path, WritingOptions(size=16, samples_per_shard=2, workers=1), samples=5)
    with pytest.raises(DataError, match=f"{tmp_path} already holds shards"):
        write_corpus(tmp_path, WritingOptions(size=16, workers=1), samples=2)
    write_corpus(tmp_path, WritingOptions(size=16, workers=1, overwrite=True), samples=2)
    assert {p.name for p in tmp_path.iterdir()} == {"00000.tar", "00000_stats.json"}
    (tmp_path / "mine.tar").touch()
    with pytest.raises(DataError, match="not this command's"):
        write_corpus(tmp_path, WritingOptions(size=16, workers=1, overwrite=True), samples=2)


def test_options_out_of_range_are_refused_before_a_folder_is_made(tmp_path: Path) -> None:
    for options, samples in ((WritingOptions(), 0), (WritingOptions(size=15), 10)):
        with pytest.raises(DataError, match="must be at least"):
            write_corpus(tmp_path / "out", options, samples=samples)
    assert not (tmp_path / "out").exists()


def test_an_unwritable_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot write"):
        write_corpus(tmp_path / "file", WritingOptions(workers=1), samples=1)


def test_a_full_disk_is_one_line_and_leaves_no_half_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "addfile", full)
    with pytest.raises(DataError, match=r"no space left for .*00000\.tar"):
        write_corpus(tmp_path, WritingOptions(workers=1), samples=1)
    assert list(tmp_path.iterdir()) == []


def test_workers_need_not_import_torch() -> None:
    code = "import sys, tbar_ray.data.synthetic.synth; sys.exit('torch' in sys.modules or 'webdataset' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
