"""The page of a scan."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tbar_ray.errors import DataError
from tbar_ray.onemodel.scan_report import save_scan, scan_html
from tbar_ray.onemodel.scan_result import Scan
from tests.onemodel.test_report import EVIL, Page
from tests.onemodel.test_scan_verdict import called


def test_the_verdict_comes_first_and_triggers_beside_stamped_images(scanned: Scan) -> None:
    shown = called(scanned, "infected")
    html = scan_html(shown, ["tbar", "scan", "a b"])
    page = Page(html)
    assert html.index("This model is infected") < html.index("How far to trust this") < html.index("What the searches")
    assert "script" not in page.tags
    assert all(place.startswith("data:image/") for place in page.places)
    # two triggers, eight stamped images, one figure
    assert page.tags.count("img") == 2 + 8 + 1
    assert "universal-noise: used below" in page.text
    assert "tbar scan 'a b'" in page.text
    assert "Nothing in it was run" in page.text


def test_a_scan_without_a_trigger_has_a_page(scanned: Scan) -> None:
    nothing = dataclasses.replace(called(scanned, "infected", lost=("universal-noise", "decree")), pictures=())
    page = Page(scan_html(nothing))
    assert "No search found a trigger" in page.text
    assert "universal-noise did not converge" in page.text


def test_names_cannot_change_the_page(scanned: Scan) -> None:
    opened = dataclasses.replace(scanned.opened, source=EVIL)
    assert "<script>" not in scan_html(dataclasses.replace(scanned, opened=opened))


def test_both_files_are_written_into_a_folder(scanned: Scan, tmp_path: Path) -> None:
    saved = save_scan(scanned, tmp_path / "out.scan")
    assert (saved.page.name, saved.record.name) == ("scan.html", "scan.json")
    assert saved.page.read_text().startswith("<!doctype html>")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot make the folder"):
        save_scan(scanned, tmp_path / "file")
