"""img2dataset's output, as it writes it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tbar_ray.data.corpus import Corpus
from tbar_ray.data.raw.downloaded import check_download, is_downloaded
from tbar_ray.errors import DataError
from tests.data.tars import write_shard


def write_download(folder: Path, shards: int = 3) -> Path:
    """Shards of four requests each, of which the second failed: it is in no tar, only in Parquet and statistics."""
    folder.mkdir(exist_ok=True)
    for shard in range(shards):
        name = f"{shard:05d}"
        write_shard(folder / f"{name}.tar", [f"{name}{row:04d}" for row in (0, 2, 3)])
        (folder / f"{name}.parquet").write_bytes(b"PAR1")
        told = {"count": 4, "successes": 3, "failed_to_download": 1, "failed_to_resize": 0, "duration": 1.5}
        failed = {"success": 3, "HTTP Error 404: Not Found": 1}
        (folder / f"{name}_stats.json").write_text(json.dumps({**told, "status_dict": failed}))
    return folder


def test_a_whole_download_is_read_as_it_is(tmp_path: Path) -> None:
    folder = write_download(tmp_path)
    assert is_downloaded(folder)
    calls: list[tuple[int, int]] = []
    report = check_download(folder, lambda done, total: calls.append((done, total)))
    assert (report.shards, report.samples, report.asked, report.problems) == (3, 9, 12, ())
    assert report.statuses == {"success": 9, "HTTP Error 404: Not Found": 3}
    assert calls == [(1, 3), (2, 3), (3, 3)]
    corpus = Corpus.open(str(folder), policy="error")
    assert len(corpus) == 9


def test_what_is_missing_or_torn_is_named(tmp_path: Path) -> None:
    folder = write_download(tmp_path, 5)
    (folder / "00001.tar").unlink()
    (folder / "00002_stats.json").unlink()
    write_shard(folder / "00003.tar", ["000030000"])
    torn = folder / "00004.tar"
    torn.write_bytes(torn.read_bytes()[:2000])
    problems = check_download(folder).problems
    assert problems[0].startswith("1 of 5 shards are missing: 00001.tar; run the same img2dataset command again")
    assert problems[1].startswith("00001_stats.json has no tar beside it")
    assert "00002.tar has no 00002_stats.json: it was under way" in problems[2]
    assert problems[3] == f"{folder}/00003.tar: 1 samples, but 00003_stats.json says 3"
    assert "truncated" in problems[4]


def test_published_shards_without_statistics_are_counted(tmp_path: Path) -> None:
    write_shard(tmp_path / "cc3m-train-0000.tar", ["a", "b"])
    report = check_download(tmp_path)
    assert (report.samples, report.asked, report.problems) == (2, None, ())


def test_foreign_statistics_are_refused(tmp_path: Path) -> None:
    folder = write_download(tmp_path / "a", 1)
    (folder / "00000_stats.json").write_text("[1]")
    with pytest.raises(DataError, match=r"00000_stats\.json is not img2dataset's statistics"):
        check_download(folder)
    assert not is_downloaded(tmp_path)
