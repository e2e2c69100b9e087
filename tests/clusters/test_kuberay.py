"""KubeRay's and Kueue's manifests: the definitions of their resources, and rules of their operators' code."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from packaging.version import Version

from tests.clusters.files import document, documents, ray_clusters, text
from tests.clusters.openapi import FOLDER, has, schema_of, violations

DEFINITIONS = {
    ("ray.io/v1", "RayCluster"): "rayclusters.ray.io",
    ("ray.io/v1", "RayJob"): "rayjobs.ray.io",
    ("kueue.x-k8s.io/v1beta2", "ResourceFlavor"): "resourceflavors.kueue.x-k8s.io",
    ("kueue.x-k8s.io/v1beta2", "ClusterQueue"): "clusterqueues.kueue.x-k8s.io",
    ("kueue.x-k8s.io/v1beta2", "LocalQueue"): "localqueues.kueue.x-k8s.io",
}
KINDS = {
    "kuberay/raycluster.yaml": ["RayCluster"],
    "kuberay/rayjob.yaml": ["RayJob"],
    "kuberay/kueue.yaml": ["ResourceFlavor", "ResourceFlavor", "ClusterQueue", "LocalQueue", "RayJob"],
    "kuberay/networkpolicy.yaml": ["NetworkPolicy", "NetworkPolicy"],
}
CUSTOM = [
    pytest.param(file, index, id=f"{file}:{index}:{kind}")
    for file, kinds in KINDS.items()
    for index, kind in enumerate(kinds)
    if kind != "NetworkPolicy"
]


def known(manifest: dict[str, Any]) -> dict[str, Any]:
    """Schema of a manifest; the test is skipped where the folder has none."""
    definition = DEFINITIONS[manifest["apiVersion"], manifest["kind"]]
    if not has(definition):
        pytest.skip(f"no definition of {definition} in {FOLDER}; set TBAR_CRDS to a folder that has it")
    return schema_of(definition, manifest["apiVersion"].rpartition("/")[2])


def campaign(name: str) -> dict[str, Any]:
    """The spec of the RayJob of a file."""
    (job,) = (manifest for manifest in documents(name) if manifest["kind"] == "RayJob")
    spec: dict[str, Any] = job["spec"]
    return spec


@pytest.mark.parametrize("name", KINDS)
def test_it_has_the_kinds_that_are_needed(name: str) -> None:
    assert [manifest["kind"] for manifest in documents(name)] == KINDS[name]


@pytest.mark.parametrize(("name", "index"), CUSTOM)
def test_the_definition_allows_it(name: str, index: int) -> None:
    manifest = documents(name)[index]
    assert list(violations(manifest, known(manifest), manifest["kind"])) == []


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        (("authOption",), {}, "RayCluster.spec.authOption: is unknown"),
        (("authOptions", "mode"), "tokens", "RayCluster.spec.authOptions.mode: 'tokens' is none of "),
        (("workerGroupSpecs", 0, "maxReplica"), 1, "RayCluster.spec.workerGroupSpecs[0].maxReplica: is unknown"),
        (
            ("workerGroupSpecs", 0, "minReplicas"),
            "0",
            "RayCluster.spec.workerGroupSpecs[0].minReplicas: '0' is no integer",
        ),
        (
            ("headGroupSpec", "template", "spec", "containers", 0, "imagePolicy"),
            "Always",
            "RayCluster.spec.headGroupSpec.template.spec.containers[0].imagePolicy: is unknown",
        ),
        (
            ("headGroupSpec", "template", "spec", "containers", 0, "resources", "limits", "cpu"),
            "two",
            "RayCluster.spec.headGroupSpec.template.spec.containers[0].resources.limits.cpu: 'two' is no quantity",
        ),
        (("headGroupSpec", "template"), ..., "RayCluster.spec.headGroupSpec: template is missing"),
    ],
    ids=["field", "choice", "worker", "type", "container", "quantity", "missing"],
)
def test_an_unsound_field_would_be_found(path: tuple[str | int, ...], value: Any, line: str) -> None:
    manifest = document("kuberay/raycluster.yaml")
    schema = known(manifest)
    place: Any = copy.deepcopy(manifest)
    whole = place
    place = place["spec"]
    for step in path[:-1]:
        place = place[step]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    found = list(violations(whole, schema, "RayCluster"))
    assert len(found) == 1
    assert found[0].startswith(line)


@pytest.mark.parametrize(("name", "cluster"), ray_clusters(), ids=[name for name, _ in ray_clusters()])
def test_authentication_and_autoscaling_are_on(name: str, cluster: dict[str, Any]) -> None:
    assert cluster["authOptions"] == {"mode": "token"}
    assert Version(cluster["rayVersion"]) >= Version("2.52"), "the operator refuses tokens before"
    assert cluster["enableInTreeAutoscaling"] is True
    assert cluster["autoscalerOptions"]["version"] == "v2"
    assert cluster["headGroupSpec"]["rayStartParams"] == {"num-cpus": "0"}


@pytest.mark.parametrize(("name", "cluster"), ray_clusters(), ids=[name for name, _ in ray_clusters()])
def test_workers_come_when_needed_and_spot_first(name: str, cluster: dict[str, Any]) -> None:
    groups = {group["groupName"]: group for group in cluster["workerGroupSpecs"]}
    assert all(group["replicas"] == group["minReplicas"] == 0 for group in groups.values())
    assert sum(group["maxReplicas"] for group in groups.values()) == 4
    assert "up to 4 GPU pods" in text(name)
    if name == "kuberay/kueue.yaml":
        assert set(groups) == {"gpu"}, "Kueue keeps a job on one flavor"
    else:
        assert groups["gpu-spot"]["priority"] > groups["gpu-on-demand"]["priority"]
        assert "tbar-ray/capacity" in groups["gpu-spot"]["template"]["spec"]["nodeSelector"]
        assert "nodeSelector" not in groups["gpu-on-demand"]["template"]["spec"]


@pytest.mark.parametrize(("name", "cluster"), ray_clusters(), ids=[name for name, _ in ray_clusters()])
def test_the_operator_would_not_refuse_restarts(name: str, cluster: dict[str, Any]) -> None:
    # with autoscaler v2 it wants `Never`, or none
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        assert group["template"]["spec"].get("restartPolicy", "Never") == "Never"


@pytest.mark.parametrize("name", ["kuberay/rayjob.yaml", "kuberay/kueue.yaml"])
def test_a_job_ends_and_is_tried_again(name: str) -> None:
    spec = campaign(name)
    assert spec["activeDeadlineSeconds"] > 0
    assert spec["backoffLimit"] > 0
    assert "new cluster" in text(name)
    assert "clusterSelector" not in spec
    assert "--store" in spec["entrypoint"], "a retry would find nothing"


def test_a_job_cleans_up_by_rules() -> None:
    spec = campaign("kuberay/rayjob.yaml")
    # the operator refuses both together
    assert "shutdownAfterJobFinishes" not in spec
    assert "ttlSecondsAfterFinished" not in spec
    rules = spec["deletionStrategy"]["deletionRules"]
    order = ["DeleteCluster", "DeleteSelf"]
    # DeleteWorkers: the operator refuses it with autoscaling
    assert {rule["policy"] for rule in rules} <= set(order)
    seconds: dict[str, dict[str, int]] = {}
    for rule in rules:
        (kind,) = set(rule["condition"]) - {"ttlSeconds"}
        ends = seconds.setdefault(f"{kind}={rule['condition'][kind]}", {})
        assert rule["policy"] not in ends
        ends[rule["policy"]] = rule["condition"]["ttlSeconds"]
    assert set(seconds) == {"jobStatus=SUCCEEDED", "jobStatus=FAILED", "jobDeploymentStatus=Failed"}
    for ends in seconds.values():
        in_order = [ends[policy] for policy in order if policy in ends]
        assert in_order == sorted(in_order)
        assert "DeleteCluster" in ends, "a cluster would stay, and cost"


def test_a_queued_job_is_as_kueue_wants_it() -> None:
    manifests = documents("kuberay/kueue.yaml")
    by_kind = {manifest["kind"]: manifest for manifest in manifests}
    job, queue = by_kind["RayJob"], by_kind["LocalQueue"]
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == queue["metadata"]["name"]
    assert job["metadata"]["namespace"] == queue["metadata"]["namespace"]
    assert job["metadata"]["annotations"] == {"kueue.x-k8s.io/elastic-job": "true"}
    assert job["spec"]["shutdownAfterJobFinishes"] is True
    assert "deletionStrategy" not in job["spec"]
    assert "suspend" not in job["spec"], "Kueue sets it"
    assert queue["spec"]["clusterQueue"] == by_kind["ClusterQueue"]["metadata"]["name"]


def test_the_quotas_hold_the_whole_job() -> None:
    manifests = documents("kuberay/kueue.yaml")
    flavors = {manifest["metadata"]["name"] for manifest in manifests if manifest["kind"] == "ResourceFlavor"}
    (queue,) = (manifest for manifest in manifests if manifest["kind"] == "ClusterQueue")
    (group,) = queue["spec"]["resourceGroups"]
    quotas = {
        flavor["name"]: {entry["name"]: entry["nominalQuota"] for entry in flavor["resources"]}
        for flavor in group["flavors"]
    }
    assert set(quotas) == flavors
    assert all(list(quota) == group["coveredResources"] for quota in quotas.values())
    cluster = campaign("kuberay/kueue.yaml")["rayClusterSpec"]
    (worker,) = cluster["workerGroupSpecs"]
    asked = worker["template"]["spec"]["containers"][0]["resources"]["requests"]
    most = worker["maxReplicas"]
    assert quotas["tbar-ray-gpu"]["nvidia.com/gpu"] == most * int(asked["nvidia.com/gpu"])
    assert quotas["tbar-ray-gpu"]["cpu"] == most * int(asked["cpu"])
    assert quotas["tbar-ray-gpu"]["memory"] == f"{most * int(asked['memory'].removesuffix('Gi'))}Gi"
    assert quotas["tbar-ray-cpu"]["nvidia.com/gpu"] == 0, "a worker would be sent to nodes without GPUs"


def test_only_ray_its_submitters_and_the_operator_reach_its_pods() -> None:
    nodes, dashboard = documents("kuberay/networkpolicy.yaml")
    assert nodes["spec"]["podSelector"] == {"matchLabels": {"ray.io/is-ray-node": "yes"}}
    assert [peer for rule in nodes["spec"]["ingress"] for peer in rule["from"]] == [
        {"podSelector": {"matchLabels": {"ray.io/is-ray-node": "yes"}}}
    ]
    (rule,) = dashboard["spec"]["ingress"]
    assert [port["port"] for port in rule["ports"]] == [8265]
    assert all("podSelector" in peer for peer in rule["from"])
