"""services/compose.yaml: loopback only, health, order, volumes, and secrets from the environment."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.clusters.files import document, documents, text

NAME = "services/compose.yaml"
FIELDS = {
    *("build", "cap_drop", "command", "depends_on", "environment", "healthcheck", "image", "ports", "restart"),
    *("security_opt", "volumes"),
}
SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|ACCESS_KEY")
FROM_ENVIRONMENT = re.compile(r"^\$\{\w+:\?[^}]+\}$")


def services() -> dict[str, dict[str, Any]]:
    """The services, by name."""
    found: dict[str, dict[str, Any]] = document(NAME)["services"]
    return found


def test_fields_are_known() -> None:
    assert set(document(NAME)) == {"name", "services", "volumes"}
    assert set(services()) == {"postgres", "objects", "bucket", "mlflow"}
    for service in services().values():
        assert set(service) <= FIELDS


def test_nothing_listens_beyond_loopback() -> None:
    ports = {name: service["ports"] for name, service in services().items() if "ports" in service}
    assert set(ports) == {"mlflow", "objects"}
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for published in ports.values() for port in published)
    assert not any("network_mode" in service for service in services().values())


def test_secrets_come_from_the_environment() -> None:
    wanted = set()
    for service in services().values():
        for name, value in service["environment"].items():
            wanted |= set(re.findall(r"\$\{(\w+):\?", str(value)))
            if SECRET.search(name):
                assert FROM_ENVIRONMENT.match(value), name
            assert not re.search(r"://[^$/]*:[^$/]*@", str(value)), f"{name}: a password in a URL"
    (line,) = re.findall(r"for name in ([\w ]+); do", text(NAME))
    assert wanted == set(line.split())


def test_services_that_stay_are_asked_for_their_health() -> None:
    for name, service in services().items():
        assert ("healthcheck" in service) == (name != "bucket")
        assert service.get("restart") == (None if name == "bucket" else "unless-stopped")


def test_they_start_in_order() -> None:
    assert services()["mlflow"]["depends_on"] == {
        "postgres": {"condition": "service_healthy"},
        "bucket": {"condition": "service_completed_successfully"},
    }
    assert services()["bucket"]["depends_on"] == {"objects": {"condition": "service_healthy"}}


def test_what_is_kept_lies_in_volumes() -> None:
    used = {mount.partition(":")[0] for service in services().values() for mount in service.get("volumes", [])}
    assert used == set(document(NAME)["volumes"]) == {"postgres", "objects"}


def test_images_are_pinned() -> None:
    for service in services().values():
        _, _, tag = service["image"].partition(":")
        assert tag
        assert tag != "latest"


def test_kubernetes_runs_the_same_images() -> None:
    used = {
        container["image"]
        for name in ("postgres", "objects", "mlflow")
        for manifest in documents(f"services/kubernetes/{name}.yaml")
        if "template" in manifest["spec"]
        for container in manifest["spec"]["template"]["spec"]["containers"]
    }
    assert used == {service["image"] for service in services().values()}


def commands_that_make_the_bucket() -> list[str]:
    """The programs of compose and of Kubernetes."""
    (deployment,) = (entry for entry in documents("services/kubernetes/mlflow.yaml") if entry["kind"] == "Deployment")
    (first,) = deployment["spec"]["template"]["spec"]["initContainers"]
    return [services()["bucket"]["command"][-1], first["command"][-1]]


def test_the_bucket_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    moto = pytest.importorskip("moto", reason="needs moto (extra: dev)")
    boto3 = pytest.importorskip("boto3")
    monkeypatch.setenv("AWS_DEFAULT_REGION", services()["bucket"]["environment"]["AWS_DEFAULT_REGION"])
    destination = services()["mlflow"]["environment"]["MLFLOW_ARTIFACTS_DESTINATION"]
    for program in commands_that_make_the_bucket():
        with moto.mock_aws():
            exec(compile(program, "bucket", "exec"), {})
            exec(compile(program, "bucket", "exec"), {})
            made = [f"s3://{bucket['Name']}" for bucket in boto3.client("s3").list_buckets()["Buckets"]]
        assert made == [destination]


def test_the_variables_are_those_that_mlflow_reads() -> None:
    found = find_spec("mlflow")
    assert found is not None
    assert found.origin is not None
    folder = Path(found.origin).parent
    # read, not imported: MLflow's command line takes long
    files = [*folder.glob("cli*.py"), *folder.glob("cli/*.py"), folder / "utils" / "cli_args.py"]
    read = {name for file in files for name in re.findall(r'envvar="(MLFLOW_\w+)"', file.read_text(encoding="utf-8"))}
    given = {name for name in services()["mlflow"]["environment"] if name.startswith("MLFLOW_")}
    assert given == {"MLFLOW_BACKEND_STORE_URI", "MLFLOW_ARTIFACTS_DESTINATION"}
    assert given <= read
    assert "MLFLOW_SERVER_ALLOWED_HOSTS" in read, "kubernetes/mlflow.yaml sets it"
