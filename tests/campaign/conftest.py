from __future__ import annotations

import pytest

from tbar_ray.report import files


@pytest.fixture
def unrendered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures of reports are empty: drawing them takes seconds."""
    monkeypatch.setattr(files, "_png", lambda _: b"")
