"""A local Ray, from its start to its end."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tbar_ray.execution.cluster import ray_session
from tbar_ray.store.temporary import own_folders, processes_of
from tests.specs import spec

pytestmark = pytest.mark.ray


def caught(number: int) -> bool:
    """Whether the system would call a handler of this process, or do what it does by itself."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("SigCgt")]
    return bool(int(line.split()[1], 16) >> (number - 1) & 1)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks Linux")
def test_it_has_a_folder_leaves_nothing_and_sigterm_stays_as_it_was() -> None:
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        handler, others = signal.getsignal(signal.SIGTERM), own_folders()
        with ray_session("local", spec()):
            assert signal.getsignal(signal.SIGTERM) is handler
            (folder,) = [made for made in own_folders() if made not in others]
            assert (folder / "session_latest" / "logs").is_dir()
            processes = {process.name(): process for process in processes_of([folder])}
            assert {"raylet", "gcs_server"} <= processes.keys()
            (agent,) = [w for w in processes["raylet"].cmdline() if w.startswith("--dashboard_agent_command=")]
            assert "--minimal" in agent, "the start does not wait for what serves a dashboard"
        assert own_folders() == others
        assert list(processes_of([folder])) == []
        assert signal.getsignal(signal.SIGTERM) is handler
        assert caught(signal.SIGTERM)  # Ray gives it back to the system when it ends
    finally:
        signal.signal(signal.SIGTERM, before)
