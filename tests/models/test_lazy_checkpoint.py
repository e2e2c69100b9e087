from __future__ import annotations

from pathlib import Path

import pytest

from tbar_ray.models.checkpoint import load_state_dict
from tbar_ray.models.lazy_checkpoint import LazyCheckpoint
from tests.models.formats.published import PUBLISHED, direct
from tests.models.tiny import same, snapshot


@pytest.mark.parametrize("name", PUBLISHED)
def test_tensors_are_those_that_loading_gives(name: str, tmp_path: Path) -> None:
    writer, architecture = PUBLISHED[name]
    path = writer(snapshot(direct(architecture)), tmp_path)
    lazy = LazyCheckpoint(path)
    assert same(load_state_dict(path), dict(lazy))
    assert len(lazy) == len(lazy.about)
    assert {value.device.type for value in lazy.about.values()} == {"meta"}
