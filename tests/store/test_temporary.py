"""Temporary folders, and those that killed processes left."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tbar_ray.store.temporary import remove_abandoned, temporary, temporary_folder


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_a_folder_is_there_for_a_while() -> None:
    with temporary("trial") as folder:
        (folder / "file").write_text("here")
    assert not folder.exists()


LEFT = """
import sys, tempfile
tempfile.tempdir = sys.argv[1]
from tbar_ray.store.temporary import temporary_folder
print(temporary_folder("trial"))
"""


def test_what_a_process_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-c", LEFT, str(tmp_path)], check=True, capture_output=True, text=True, timeout=60
    )
    left, own = Path(told.stdout.strip()), temporary_folder("trial")
    others = [tmp_path / name for name in ("tbar-artifacts-0", "tbar-word-word-word", "else")]
    for other in others:
        other.mkdir()
    assert left.is_dir()
    assert remove_abandoned() == 1
    assert sorted(tmp_path.iterdir()) == sorted([own, *others])
