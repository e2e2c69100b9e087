from __future__ import annotations

import pytest

from tbar_ray.report import files


@pytest.fixture
def unrendered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures of reports are empty: drawing them takes seconds."""
    monkeypatch.setattr(files, "_png", lambda _: b"")


@pytest.fixture
def without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports have no figures: setting them takes a second."""
    monkeypatch.setattr(files, "_figures", lambda *_: {})
