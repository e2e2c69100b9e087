from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tbar_ray.report import files
from tests.campaign.tiny import kill_marked


@pytest.fixture
def mark() -> Iterator[str]:
    """A mark of a test's processes, which end with it."""
    made = uuid.uuid4().hex
    yield made
    kill_marked(made)


@pytest.fixture
def unrendered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures of reports are empty: drawing them takes seconds."""
    monkeypatch.setattr(files, "_png", lambda _: b"")


@pytest.fixture
def without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports have no figures: setting them takes a second."""
    monkeypatch.setattr(files, "_figures", lambda *_: {})
