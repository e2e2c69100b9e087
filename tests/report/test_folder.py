from __future__ import annotations

from pathlib import Path

import pytest

from tbar_ray.errors import StoreError
from tbar_ray.planning.share import Share
from tbar_ray.report.folder import check_writable, link_latest, report_folder
from tests.specs import spec


def test_specs_of_one_name_have_reports_of_their_own(tmp_path: Path) -> None:
    one, same, other = (
        report_folder(tmp_path, made) for made in (spec(), spec(description="in other words"), spec(seed=3))
    )
    assert one == same != other
    shares = {report_folder(tmp_path, spec(), Share(number, 2)) for number in (1, 2)}
    assert {folder.name for folder in shares} == {f"{one.name}-1-of-2", f"{one.name}-2-of-2"}
    assert {folder.parent for folder in (one, other, *shares)} == {tmp_path / "reports" / "demo"}


def test_latest_leads_to_the_newest_also_after_a_move(tmp_path: Path) -> None:
    one, other = report_folder(tmp_path / "a", spec()), report_folder(tmp_path / "a", spec(seed=3))
    for folder in (one, other):
        folder.mkdir(parents=True)
        (folder / "report.md").write_text(folder.name)
        (folder / "report.html").touch()
        link_latest(folder)
        assert (one.parent / "latest" / "report.md").read_text() == folder.name
    (tmp_path / "a").rename(tmp_path / "b")
    assert (tmp_path / "b" / "reports" / "demo" / "latest" / "report.md").read_text() == other.name
    assert sorted(path.name for path in (tmp_path / "b" / "reports" / "demo").iterdir()) == sorted(
        [one.name, other.name, "latest"]
    )


def test_without_a_report_there_is_no_link(tmp_path: Path) -> None:
    folder = report_folder(tmp_path, spec())
    link_latest(folder)
    folder.parent.mkdir(parents=True)
    link_latest(folder)
    assert list(folder.parent.iterdir()) == []


@pytest.mark.parametrize("kind", ["folder", "no links"])
def test_what_cannot_be_linked_is_left_alone(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = report_folder(tmp_path, spec())
    folder.mkdir(parents=True)
    if kind == "folder":
        (folder.parent / "latest").mkdir()
    else:
        monkeypatch.setattr(Path, "symlink_to", lambda *_: (_ for _ in ()).throw(OSError(1, "not permitted")))
    link_latest(folder)
    assert [path.name for path in folder.parent.iterdir() if path.name.startswith(".")] == []


def test_a_folder_that_cannot_be_written_is_told_before_there_is_anything_to_write(tmp_path: Path) -> None:
    check_writable(tmp_path / "new" / "folder")
    assert list((tmp_path / "new" / "folder").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be written: Not a directory; give another folder"):
        check_writable(tmp_path / "file" / "folder")
