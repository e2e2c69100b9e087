"""skypilot/: fields, recovery, tokens, no open ports."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clusters.files import document

FILES = ("skypilot/cluster.yaml", "skypilot/job.yaml")
FIELDS = {"name", "num_nodes", "workdir", "resources", "envs", "secrets", "file_mounts", "setup", "run"}
RESOURCES = {"accelerators", "any_of", "autostop", "cpus", "disk_size", "infra", "job_recovery", "memory", "use_spot"}
"""Fields of SkyPilot 0.14's schema (sky/utils/schemas.py) that the files may use; `ports` opens to the world."""


@pytest.mark.parametrize("name", FILES)
def test_fields_are_known(name: str) -> None:
    task = document(name)
    assert set(task) <= FIELDS
    assert set(task["resources"]) <= RESOURCES
    assert all(set(entry) <= RESOURCES for entry in task["resources"].get("any_of", []))


@pytest.mark.parametrize("name", FILES)
def test_skypilot_accepts_it(name: str) -> None:
    sky = pytest.importorskip("sky", reason="needs skypilot, which `dev` leaves out")
    given = [("TBAR_STORE", "s3://bucket/tbar"), ("MLFLOW_TRACKING_URI", "http://host:5000")]
    task = sky.Task.from_yaml_config(document(name), env_overrides=given)
    assert task.run
    with pytest.raises(ValueError, match="TBAR_STORE"):
        sky.Task.from_yaml_config(document(name))


@pytest.mark.parametrize("name", FILES)
def test_the_store_and_mlflow_must_be_given(name: str) -> None:
    task = document(name)
    assert task["envs"]["TBAR_STORE"] is None
    assert task["envs"]["MLFLOW_TRACKING_URI"] is None
    assert '--store "$TBAR_STORE"' in task["run"]
    assert '--tracking-uri "$MLFLOW_TRACKING_URI"' in task["run"]


@pytest.mark.parametrize("name", FILES)
def test_an_error_ends_it(name: str) -> None:
    task = document(name)
    assert task["setup"].startswith("set -e\n")
    assert task["run"].startswith("set -e\n")


def resources(name: str) -> dict[str, Any]:
    """What a file asks for."""
    found: dict[str, Any] = document(name)["resources"]
    return found


def test_a_cluster_ends_by_itself_and_has_a_token() -> None:
    task = document("skypilot/cluster.yaml")
    assert resources("skypilot/cluster.yaml")["autostop"] == {"idle_minutes": 20, "down": True}
    assert task["file_mounts"] == {"~/.ray/auth_token": "~/.ray/auth_token"}
    assert "export RAY_AUTH_MODE=token" in task["run"]
    assert task["run"].index("RAY_AUTH_MODE") < task["run"].index("start_cluster")


def test_a_managed_job_uses_spot_and_recovers() -> None:
    asked = resources("skypilot/job.yaml")
    assert asked["any_of"] == [{"use_spot": True}, {"use_spot": False}]
    assert asked["job_recovery"]["strategy"] == "EAGER_NEXT_REGION"
    # a Ray of its own: SkyPilot's would be found by `auto`
    assert "--address local" in document("skypilot/job.yaml")["run"]
