from __future__ import annotations

from pathlib import Path

import pytest

from tbar_ray.errors import StoreError
from tbar_ray.records.sheets import Answer, SheetImage, SheetRecord, read_sheet, write_sheet
from tbar_ray.store.store import Store

FOLDER = "campaigns/demo/abc"


def test_a_sheet_is_read_as_it_was_written(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    image = SheetImage(webp="abc", truth="circle", answers={"clean": (Answer(name="circle", probability=0.5),)})
    sheet = SheetRecord(target="square", images=9, changed=1, shown=(image,), failed=1, failures=(image,))
    assert read_sheet(store, FOLDER, "trial") is None
    write_sheet(store, FOLDER, "trial", sheet)
    assert read_sheet(store, FOLDER, "trial") == sheet


def test_a_broken_sheet_is_one_line(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.write_json(f"{FOLDER}/sheets/trial.json", {"target": "square"})
    with pytest.raises(StoreError, match=r"sheets/trial\.json is broken; remove it, and make the sheet again"):
        read_sheet(store, FOLDER, "trial")
