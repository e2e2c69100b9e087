from __future__ import annotations

from pathlib import Path

import pytest

from tbar_ray.data import check
from tbar_ray.data.check import CorpusReport, check_corpus
from tbar_ray.errors import DataError

from .tars import picture, sample, write_shard, write_tar


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for shard in range(2):
        write_shard(tmp_path / f"{shard:05d}.tar", [f"{shard:05d}{row:04d}" for row in range(4)])
    return tmp_path


def test_a_sound_corpus(folder: Path) -> None:
    calls: list[tuple[int, int]] = []
    report = check_corpus(str(folder), workers=2, progress=lambda done, total: calls.append((done, total)))
    assert report.ok
    assert report.total.samples == 8
    assert report.total.bytes == sum(path.stat().st_size for path in folder.iterdir())
    assert (report.total.heights, report.total.widths) == ((16, 16), (24, 24))
    assert [shard.url for shard in report.shards] == [str(folder / f"{shard:05d}.tar") for shard in range(2)]
    assert calls == [(1, 2), (2, 2)]
    assert CorpusReport.model_validate_json(report.model_dump_json()) == report


def test_every_kind_of_problem(folder: Path) -> None:
    members = [
        *sample("unreadable", image=b"\xff\xd8\xff broken"),
        ("imageless.txt", b"words"),
        ("uncaptioned.jpg", picture(size=(8, 9))),
        *[("blank.jpg", picture(size=(100, 90))), ("blank.txt", b"  ")],
        *[("json.jpg", picture()), ("json.txt", b"x"), ("json.json", b"{")],
        *sample("000000001"),  # the first shard has it
        ("json.txt", b"again"),
    ]
    write_tar(folder / "00002.tar", members)
    report = check_corpus(str(folder), workers=1)
    assert not report.ok
    counts = report.shards[2]
    assert counts.samples == 6
    assert counts.unreadable_images == 1
    assert counts.missing_images == 1
    assert counts.missing_captions == 1
    assert counts.empty_captions == 1
    assert counts.duplicate_keys == 2
    assert counts.structural_problems == 1
    assert counts.heights == (9, 90)
    assert counts.widths == (8, 100)
    assert counts.problem_count == report.total.problem_count == len(report.problems)
    without = check_corpus(str(folder), workers=1, decode=False)
    assert without.total.unreadable_images == 0
    assert without.total.heights is None


def test_clip_benchmark_layout(tmp_path: Path) -> None:
    image = picture(form="WEBP")
    write_tar(tmp_path / "0.tar", [("s0.cls", b"3"), ("s0.webp", image), ("s1.cls", b"4"), ("s1.webp", image)])
    assert check_corpus(str(tmp_path)).ok
    write_tar(tmp_path / "1.tar", [("s2.cls", b"three"), ("s2.webp", image)])
    assert check_corpus(str(tmp_path), workers=1).total.structural_problems == 1


def test_damaged_and_empty_shards(folder: Path) -> None:
    first = folder / "00000.tar"
    first.write_bytes(first.read_bytes()[:5000])
    (folder / "00002.tar").touch()
    write_tar(folder / "00003.tar", [])
    report = check_corpus(str(folder), workers=1)
    assert [shard.structural_problems for shard in report.shards] == [1, 0, 1, 1]
    assert report.shards[1].samples == 4


def test_nothing_at_all(tmp_path: Path) -> None:
    (tmp_path / "a.tar").touch()
    assert not check_corpus(str(tmp_path)).ok
    with pytest.raises(DataError, match="no such shard"):
        check_corpus(str(tmp_path / "{a,b}.tar"))
    with pytest.raises(DataError, match="at least 1"):
        check_corpus(str(tmp_path), workers=0)


def test_the_list_of_problems_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "MAX_LISTED", 5)
    write_tar(tmp_path / "a.tar", [(f"{number}.jpg", b"x") for number in range(20)])
    report = check_corpus(str(tmp_path), workers=1)
    assert report.total.unreadable_images == report.total.missing_captions == 20
    assert len(report.problems) == 5


def test_members_that_are_not_together_are_one_problem(tmp_path: Path) -> None:
    members = [(f"s{n}.jpg", picture()) for n in range(9)] + [(f"s{n}.txt", b"words") for n in range(9)]
    write_tar(tmp_path / "a.tar", members)
    report = check_corpus(str(tmp_path), workers=1)
    assert (report.total.samples, report.total.problem_count, report.total.structural_problems) == (9, 1, 1)
    assert "tar --sort=name" in str(report.problems[0])
