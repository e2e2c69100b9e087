"""The peak of this process's memory begins anew, and is of this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from tbar_ray.execution import process_memory
from tbar_ray.execution.process_memory import forget_peak, peak_memory

BLOCK = 200_000_000


def test_a_peak_is_seen_and_can_be_forgotten() -> None:
    forget_peak()
    before = peak_memory()
    assert before is not None
    held = bytearray(BLOCK)
    held[::4096] = b"1" * len(held[::4096])
    del held
    with_block = peak_memory()
    assert with_block is not None
    assert with_block - before > BLOCK // 2
    forget_peak()
    after = peak_memory()
    assert after is not None
    assert after < with_block - BLOCK // 2


def test_a_system_that_does_not_tell_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_memory, "_STATUS", tmp_path / "status")
    monkeypatch.setattr(process_memory, "_CLEAR", tmp_path / "nowhere" / "clear")
    forget_peak()
    assert peak_memory() is None
    (tmp_path / "status").write_text("Name:\tpython\n")
    assert peak_memory() is None
