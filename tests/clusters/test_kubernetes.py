"""Manifests of plain Kubernetes: kinds, known fields, health, secrets, and who may talk to whom."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.clusters.files import CLUSTERS, documents, name_of, pod_templates
from tests.clusters.openapi import FOLDER, has, part, schema_of, violations

FOLDER_OF_SERVICES = CLUSTERS / "services" / "kubernetes"
KINDS = {
    "services/kubernetes/mlflow.yaml": ["Service", "Deployment"],
    "services/kubernetes/networkpolicy.yaml": ["NetworkPolicy"] * 3,
    "services/kubernetes/objects.yaml": ["Service", "StatefulSet"],
    "services/kubernetes/postgres.yaml": ["Service", "StatefulSet"],
}
VERSIONS = {
    "Service": "v1",
    "Deployment": "apps/v1",
    "StatefulSet": "apps/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
}
FIELDS = {
    "Service": {"selector", "ports"},
    "Deployment": {"replicas", "strategy", "selector", "template"},
    "StatefulSet": {"serviceName", "replicas", "selector", "template", "volumeClaimTemplates"},
    "NetworkPolicy": {"podSelector", "policyTypes", "ingress"},
}
"""Fields of a spec that the manifests use. Pods and rules are checked by the schemas inside KubeRay's definition."""
TEMPLATES = [pytest.param(template, id=where) for where, template in pod_templates()]
SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|ACCESS_KEY")


def services(kind: str) -> list[dict[str, Any]]:
    """The manifests of a kind among the services."""
    return [manifest for name in KINDS for manifest in documents(name) if manifest["kind"] == kind]


def cluster_schema(*path: str) -> dict[str, Any]:
    """A part of the schema of a RayCluster's spec; the test is skipped where there is none."""
    if not has("rayclusters.ray.io"):
        pytest.skip(f"no definition of rayclusters.ray.io in {FOLDER}; set TBAR_CRDS to a folder that has it")
    return part(schema_of("rayclusters.ray.io", "v1"), "spec", *path)


def containers(template: dict[str, Any]) -> list[dict[str, Any]]:
    """The containers of a pod, those that prepare it included."""
    return [*template["spec"].get("initContainers", []), *template["spec"]["containers"]]


def test_every_manifest_is_looked_at() -> None:
    assert sorted(KINDS) == sorted(name_of(path) for path in FOLDER_OF_SERVICES.glob("*.yaml"))


@pytest.mark.parametrize("name", [*KINDS, "kuberay/networkpolicy.yaml"])
def test_kinds_versions_and_fields(name: str) -> None:
    manifests = documents(name)
    if name in KINDS:
        assert [manifest["kind"] for manifest in manifests] == KINDS[name]
    for manifest in manifests:
        kind = manifest["kind"]
        assert set(manifest) == {"apiVersion", "kind", "metadata", "spec"}
        assert manifest["apiVersion"] == VERSIONS[kind]
        assert set(manifest["spec"]) <= FIELDS[kind]
        assert set(manifest["metadata"]) == {"name"}, "the namespace is given to kubectl"


@pytest.mark.parametrize("template", TEMPLATES)
def test_kubernetes_knows_every_field_of_a_pod(template: dict[str, Any]) -> None:
    schema = cluster_schema("headGroupSpec", "template")
    spec = {**template, "metadata": {}}  # the definition leaves the metadata of pods open
    assert list(violations(spec, schema, "pod")) == []
    broken = {**template, "spec": {**template["spec"], "runAsUser": 1}}
    assert list(violations(broken, schema, "pod")) == ["pod.spec.runAsUser: is unknown"]


@pytest.mark.parametrize("name", ["services/kubernetes/networkpolicy.yaml", "kuberay/networkpolicy.yaml"])
def test_kubernetes_knows_every_field_of_a_rule(name: str) -> None:
    schema = cluster_schema("networkPolicy", "head", "ingressRules")
    for policy in documents(name):
        assert list(violations(policy["spec"]["ingress"], schema, policy["metadata"]["name"])) == []
        broken = [{**rule, "form": []} for rule in policy["spec"]["ingress"]]
        assert "form: is unknown" in "".join(violations(broken, schema))


@pytest.mark.parametrize("template", TEMPLATES)
def test_pods_have_no_more_rights_than_they_need(template: dict[str, Any]) -> None:
    pod = template["spec"]["securityContext"]
    assert pod["runAsNonRoot"] is True
    assert pod["runAsUser"] > 0
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(template["spec"])
    for container in containers(template):
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert "limits" in container["resources"]
        assert ":" in container["image"]
        assert not container["image"].endswith(":latest")


@pytest.mark.parametrize("template", TEMPLATES)
def test_secrets_are_references(template: dict[str, Any]) -> None:
    for container in containers(template):
        for entry in container.get("env", []):
            if SECRET.search(entry["name"]):
                assert set(entry) == {"name", "valueFrom"}
                assert set(entry["valueFrom"]) == {"secretKeyRef"}


def test_no_secret_is_in_a_file_and_every_key_is_made() -> None:
    assert services("Secret") == []
    used = {
        entry["valueFrom"]["secretKeyRef"]["key"]
        for _, template in pod_templates()
        for container in containers(template)
        for entry in container.get("env", [])
        if "valueFrom" in entry
    }
    head = (FOLDER_OF_SERVICES / "postgres.yaml").read_text(encoding="utf-8")
    made = set(re.findall(r"--from-literal=([\w-]+)=\$\(openssl rand", head))
    assert used == made == {"postgres-password", "s3-access-key", "s3-secret-key"}


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_services_are_asked_for_their_health(kind: str) -> None:
    for manifest in services(kind):
        (container,) = manifest["spec"]["template"]["spec"]["containers"]
        named = {port["name"] for port in container["ports"]}
        for probe in ("readinessProbe", "livenessProbe"):
            how = container[probe]
            assert len({"httpGet", "exec"} & set(how)) == 1
            if "httpGet" in how:
                assert how["httpGet"]["port"] in named


def test_what_is_kept_lies_on_a_disk() -> None:
    for manifest in services("StatefulSet"):
        (claim,) = manifest["spec"]["volumeClaimTemplates"]
        (container,) = manifest["spec"]["template"]["spec"]["containers"]
        assert claim["metadata"]["name"] in {mount["name"] for mount in container["volumeMounts"]}
        assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
        assert manifest["spec"]["replicas"] == 1


def test_mounted_volumes_exist() -> None:
    for where, template in pod_templates():
        made = {volume["name"] for volume in template["spec"].get("volumes", [])} | {"data"}
        for container in containers(template):
            assert {mount["name"] for mount in container.get("volumeMounts", [])} <= made, where


def test_services_lead_to_pods_and_stay_inside() -> None:
    pods = {
        manifest["metadata"]["name"]: manifest["spec"]["template"]
        for kind in ("Deployment", "StatefulSet")
        for manifest in services(kind)
    }
    for kind in ("Deployment", "StatefulSet"):
        for manifest in services(kind):
            wanted = manifest["spec"]["selector"]["matchLabels"]
            assert manifest["spec"]["template"]["metadata"]["labels"] == wanted
    for service in services("Service"):
        template = pods[service["metadata"]["name"]]
        assert service["spec"]["selector"] == template["metadata"]["labels"]
        assert "type" not in service["spec"], "another type would leave the cluster"
        named = {port["name"]: port["containerPort"] for port in template["spec"]["containers"][0]["ports"]}
        for port in service["spec"]["ports"]:
            assert named[port["targetPort"]] == port["port"]


def test_every_service_has_a_policy_and_strangers_are_in_none() -> None:
    named = {service["metadata"]["name"] for service in services("Service")}
    ray = {"ray.io/is-ray-node": "yes"}
    mlflow = {"app.kubernetes.io/name": "mlflow"}
    allowed = {"postgres": [mlflow], "objects": [mlflow, ray], "mlflow": [ray]}
    assert named == set(allowed)
    for policy in services("NetworkPolicy"):
        name = policy["metadata"]["name"]
        assert policy["spec"]["podSelector"] == {"matchLabels": {"app.kubernetes.io/name": name}}
        assert "Ingress" in policy["spec"]["policyTypes"]
        (rule,) = policy["spec"]["ingress"]
        assert rule["from"] == [{"podSelector": {"matchLabels": labels}} for labels in allowed.pop(name)]
        (service,) = (service for service in services("Service") if service["metadata"]["name"] == name)
        assert [port["port"] for port in rule["ports"]] == [port["port"] for port in service["spec"]["ports"]]
    assert allowed == {}


def test_mlflow_answers_to_the_names_that_it_is_given() -> None:
    security = pytest.importorskip("mlflow.server.security_utils")
    (deployment,) = services("Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    settings = {entry["name"]: entry.get("value", "") for entry in container["env"]}
    hosts = settings["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")
    for host in ("mlflow.tbar-ray.svc:5000", "mlflow:5000", "localhost:5000", "127.0.0.1:5000"):
        assert security.is_allowed_host_header(hosts, host)
    assert not security.is_allowed_host_header(hosts, "rebound.example:5000")
    assert "http://mlflow.tbar-ray.svc:5000" in (CLUSTERS / "kuberay" / "raycluster.yaml").read_text(encoding="utf-8")
    assert (
        settings["MLFLOW_BACKEND_STORE_URI"] == "postgresql+psycopg2://mlflow:$(POSTGRES_PASSWORD)@postgres:5432/mlflow"
    )
    names = [entry["name"] for entry in container["env"]]
    # Kubernetes replaces only what stands above
    assert names.index("POSTGRES_PASSWORD") < names.index("MLFLOW_BACKEND_STORE_URI")
