import os
from pathlib import Path

import pytest

from tbar_ray import processors as module
from tbar_ray.processors import SLURM, processors


@pytest.fixture(autouse=True)
def eight(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine of eight CPUs, without cgroups and without SLURM."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    for name in SLURM:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(module, "_PROCESS", tmp_path / "cgroup")
    monkeypatch.setattr(module, "_CGROUPS", tmp_path / "fs")
    return tmp_path


def limit(root: Path, group: str, **files: str) -> None:
    folder = root / "fs" / group
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("cpu_", "cpu.", 1)).write_text(content)


def test_the_affinity_counts_and_not_the_machine() -> None:
    assert processors() == 8


@pytest.mark.parametrize("variable", SLURM)
def test_what_slurm_gave_to_the_task_counts(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "3")
    assert processors() == 3


@pytest.mark.parametrize("text", ["", "0", "many", "16"])
def test_slurm_cannot_give_more_than_there_is(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", text)
    assert processors() == 8


@pytest.mark.parametrize(
    ("quota", "expected"), [("250000 100000", 2), ("50000 100000", 1), ("max 100000", 8), ("broken", 8)]
)
def test_the_quota_of_the_own_cgroup_counts(quota: str, expected: int, eight: Path) -> None:
    (eight / "cgroup").write_text("0::/user/job\n")
    limit(eight, "user/job", cpu_max=quota)
    assert processors() == expected


def test_the_quota_of_an_outer_cgroup_binds_too(eight: Path) -> None:
    (eight / "cgroup").write_text("0::/user/job\n")
    limit(eight, "user/job", cpu_max="max 100000")
    limit(eight, "user", cpu_max="400000 100000")
    assert processors() == 4


def test_cgroups_of_version_1_are_read(eight: Path) -> None:
    (eight / "cgroup").write_text("5:memory:/x\n4:cpu,cpuacct:/docker/ab\n")
    limit(eight, "cpu/docker/ab", cpu_cfs_quota_us="300000", cpu_cfs_period_us="100000")
    limit(eight, "cpu", cpu_cfs_quota_us="-1", cpu_cfs_period_us="100000")
    assert processors() == 3
