"""Every node of a cluster is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from tbar_ray.campaign.doctor import examine
from tbar_ray.execution import health
from tbar_ray.store.store import Store
from tests.execution.nodes import cluster_of
from tests.specs import spec

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]


def test_a_node_looks_for_itself_and_has_to_have_the_same_packages(
    local_ray: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, uri = Store(str(tmp_path / "store")), f"sqlite:///{tmp_path / 'mlflow.db'}"
    checks = examine("auto", store, uri, spec())
    assert [check.told for check in checks if not check.ok] == []
    (node,) = {check.where for check in checks if check.where.startswith("127.0.0.")}
    assert [check.what for check in checks if check.where == node] == ["packages", "disk", "store", "GPU", "data"]
    assert list(Path(store.url).iterdir()) == []
    mine = {**health.installed_versions(), "optuna": "0.1"}
    monkeypatch.setattr(health, "installed_versions", lambda: mine)
    made = spec(resources={"training_cpus": 9999})
    wrong = [(check.what, check.told) for check in examine("auto", store, uri, made) if not check.ok]
    assert [what for what, _ in wrong] == ["resources", "packages"]
    assert "9999 CPUs" in wrong[0][1]
    assert ", 0.1 here; install the same versions on every node" in wrong[1][1]


@pytest.mark.slow  # two raylets take half a minute to start
def test_every_node_of_several_is_asked_for_all_that_it_needs(tmp_path: Path) -> None:
    with cluster_of(0, 2, 2) as cluster:
        checks = examine(cluster.address, Store(str(tmp_path / "store")), f"sqlite:///{tmp_path / 'mlflow.db'}", spec())
    assert [check.told for check in checks if not check.ok] == []
    nodes = ("127.0.0.3", "127.0.0.4")
    asked = {node: [check.what for check in checks if check.where.split()[0] == node] for node in nodes}
    assert asked == {node: ["packages", "disk", "store", "GPU", "data"] for node in nodes}
