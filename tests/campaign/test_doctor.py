"""What is looked at beside the host itself: tracking, GPUs that are wanted, a cluster that is not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tbar_ray.campaign import doctor
from tbar_ray.campaign.doctor import examine
from tbar_ray.execution.health import Check, HostHealth
from tbar_ray.store.store import Store
from tests.specs import spec


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"))


@pytest.fixture
def _sound(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host on which all is well, and which has no GPU."""
    health = HostHealth((Check("GPU", "here", True, "torch sees none"),), {"python": "3.11"})
    monkeypatch.setattr(doctor, "examine_host", lambda *_: health)


def problems(checks: list[Check]) -> dict[str, str]:
    return {check.what: check.told for check in checks if not check.ok}


def test_a_sound_machine_is_left_as_it_was(store: Store, tmp_path: Path) -> None:
    checks = examine("local", store, f"sqlite:///{tmp_path / 'mlruns' / 'mlflow.db'}", spec())
    assert problems(checks) == {}
    assert [check.what for check in checks] == ["packages", "disk", "store", "GPU", "data", "tracking"]
    assert [path.name for path in tmp_path.iterdir()] == ["store"]
    assert list(Path(store.url).iterdir()) == []


@pytest.mark.usefixtures("_sound")
@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("http://127.0.0.1:9", "does not answer"),
        ("sqlite:////proc/nowhere/mlflow.db", "cannot be written"),
    ],
)
def test_a_tracking_place_that_cannot_be_used_is_a_problem(
    uri: str, told: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)  # a superuser may write anywhere
    assert told in problems(examine("local", store, uri, None))["tracking"]


@pytest.mark.usefixtures("_sound")
@pytest.mark.parametrize("resources", [{"gpus": 0.5}, {"gpus": 0.5, "training_gpus": 2}])
def test_gpus_that_are_wanted_and_not_there_are_a_problem(
    resources: dict[str, Any], store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    told = problems(examine("local", store, uri, spec(resources=resources)))
    most = max(resources.values())
    assert told == {"resources": f"a stage takes {most:g} GPUs, and torch sees none here"}
    assert problems(examine("local", store, uri, spec())) == {}
    monkeypatch.setattr(doctor, "examine_host", lambda *_: HostHealth((), {}, ("a GPU",)))
    assert problems(examine("local", store, uri, spec(resources=resources))) == {}


@pytest.mark.usefixtures("_sound")
def test_a_cluster_at_which_nobody_listens_is_a_problem(store: Store, tmp_path: Path) -> None:
    told = problems(examine("127.0.0.1:9", store, f"sqlite:///{tmp_path / 'mlflow.db'}", None))
    assert list(told) == ["cluster"]
    assert "127.0.0.1:9" in told["cluster"]
