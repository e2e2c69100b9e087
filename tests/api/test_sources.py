"""Where samples come from."""

from __future__ import annotations

from pathlib import Path

import tbar_ray as tbar
from tbar_ray.api.sources import open_samples
from tests.data.raw.material import write_table


def test_a_table_is_a_source_of_samples(tmp_path: Path) -> None:
    file = write_table(tmp_path, 8)
    file.write_text(file.read_text().replace("image,caption,type", "image,caption,label"))
    samples = open_samples(file)
    assert (len(samples), samples.label(1), samples.caption(0)) == (8, "shoe", 'a "hat", number 0')
    assert len(tbar.forget_set(str(file), size=4).samples) == 8
