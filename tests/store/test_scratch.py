from __future__ import annotations

import errno
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tbar_ray.errors import StoreError
from tbar_ray.store.scratch import new_scratch, remove_abandoned_scratch
from tbar_ray.store.store import Store
from tests.store.filled import one_line


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")  # noqa: PTH110
def test_an_error_of_a_library_on_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(str(tmp_path))
    store.check_room(tmp_path, ValueError("something else"))
    with pytest.raises(StoreError, match="cannot be written any more: no space left on its disk; make room"):
        store.check_room(tmp_path, OSError(errno.ENOSPC, "No space left on device"))

    def full(path: Path, content: bytes) -> int:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StoreError, match="cannot be written any more: Read-only file system") as caught:
        store.check_room(tmp_path, RuntimeError("[enforce fail at inline_container.cc:664]"))
    one_line(caught)


def test_a_disk_with_too_little_room_is_one_line_before_anything_is_computed(tmp_path: Path) -> None:
    store, free = Store(str(tmp_path)), shutil.disk_usage(tmp_path).free
    store.check_space(tmp_path, free // 2, "a model")
    with pytest.raises(StoreError, match=r"GB are free, and a model writes about [\d.]+ GB; make room") as caught:
        store.check_space(tmp_path, 2 * free, "a model")
    one_line(caught)


def test_scratch_is_abandoned_once_its_process_has_ended_or_another_machine_is_long_silent(tmp_path: Path) -> None:
    own = new_scratch(tmp_path)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    dead = tmp_path / f"{socket.gethostname()}-{ended.pid}-0123"
    silent, elsewhere = tmp_path / "other-host-1-0123", tmp_path / "other-host-1-4567"
    for folder in (dead, silent, elsewhere):
        folder.mkdir()
    os.utime(silent, (0, 0))
    assert remove_abandoned_scratch(tmp_path) == 2
    assert sorted(tmp_path.iterdir()) == sorted([own, elsewhere])
    assert remove_abandoned_scratch(tmp_path / "none") == 0


def test_of_hosts_whose_names_have_dashes_none_takes_another_for_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "node")
    dead = 2**22 + 1  # no process has so large a number
    folders = [tmp_path / name for name in (f"node-{dead}-a", f"node-{dead}-77-a", f"other-{dead}-a")]
    for folder in folders:
        folder.mkdir()
    own = new_scratch(tmp_path)
    assert remove_abandoned_scratch(tmp_path) == 1
    assert sorted(tmp_path.iterdir()) == sorted([own, *folders[1:]])
