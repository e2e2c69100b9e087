"""The disk of a campaign's results becomes full or read-only while it runs: one line, and it goes on later."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.campaign.tiny import end_of, read_until, start, wait_until_gone, write_tiny
from tests.disks import disk, fill, make_read_only, make_writable

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(1200)]

SIZES = list(range(8, 14))
FULL = "[Nn]o space left on|disk is full"
READ_ONLY = "Read-only file system"
"""What store and report say, or SQLite where MLflow is first to notice."""


@pytest.mark.parametrize("what", ["full", "read-only"])
def test_a_disk_that_can_hold_no_more_is_one_line_and_the_campaign_goes_on_once_it_can(
    tmp_path: Path, mark: str, what: str
) -> None:
    """A database is open all the time, and no disk becomes read-only then: it lies elsewhere."""
    place, spec_file = tmp_path / "disk", write_tiny(tmp_path, SIZES)
    home, words = (place, ()) if what == "full" else (tmp_path / "home", ("--store", str(place / "store")))
    with disk(place, 700):
        running = start(spec_file, home, mark, *words)
        shown = read_until(running, "trial 1/")
        filler = fill(place) if what == "full" else make_read_only(place)
        shown += end_of(running)
        assert running.returncode == 2, shown
        errors = [line for line in shown.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1, shown
        assert re.search(FULL if filler else READ_ONLY, errors[0]), errors[0]
        assert "Traceback" not in shown
        wait_until_gone(mark)
        if filler:
            filler.unlink()
        else:
            make_writable(place)

        again = start(spec_file, home, mark, *words)
        shown = end_of(again)
        assert again.returncode == 0, shown
        assert f"{len(SIZES)} trials in" in shown
