"""The files of Ray's cluster launcher: Ray's own schema, the clouds' own parameters, and nothing open to the world."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import ValidationError

from tbar_ray.stages.node import PROCESS
from tests.clusters.files import AUTOSCALED, CLUSTERS, LAUNCHED, document, text

POLICIES = sorted((CLUSTERS / "aws-iam").glob("*.json"))


def prepared(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration with Ray's defaults, as `ray up` makes and validates it."""
    from ray.autoscaler._private.util import prepare_config, validate_config

    made: dict[str, Any] = prepare_config(copy.deepcopy(config))
    validate_config(made)
    return made


def start_commands(name: str) -> tuple[str, str]:
    """The commands that start Ray on the head and on a worker."""
    config = document(name)
    return config["head_start_ray_commands"][-1], config["worker_start_ray_commands"][-1]


@pytest.mark.parametrize("name", LAUNCHED)
def test_ray_accepts_it(name: str) -> None:
    config = prepared(document(name))
    assert config["cluster_name"] == "tbar-ray"
    # nothing of Ray's own set-up of nodes, which installs another Ray, is left
    for phase in ("head_setup_commands", "worker_setup_commands"):
        assert config[phase] == document(name)["setup_commands"]


@pytest.mark.parametrize("name", LAUNCHED)
def test_ray_would_refuse_an_unknown_field(name: str) -> None:
    config = document(name)
    config["idle_timeout"] = 10
    with pytest.raises(ValidationError, match="idle_timeout"):
        prepared(config)


def test_memory_is_told_where_ray_does_not_ask_the_cloud_for_it() -> None:
    config = document("gcp.yaml")
    workers = [entry for kind, entry in config["available_node_types"].items() if kind != config["head_node_type"]]
    assert [entry["node_config"]["machineType"] for entry in workers] == ["g2-standard-16"] * 2
    # a stage asks for PROCESS at least: a kind without memory would never come for it
    assert all(PROCESS < entry["resources"]["memory"] < 0.7 * 64 * 2**30 for entry in workers)


@pytest.mark.parametrize("name", AUTOSCALED)
def test_the_head_runs_no_stage_and_workers_come_when_needed(name: str) -> None:
    config = prepared(document(name))
    types = config["available_node_types"]
    assert types[config["head_node_type"]]["resources"] == {"CPU": 0}
    workers = {key: entry for key, entry in types.items() if key != config["head_node_type"]}
    assert all(entry["min_workers"] == 0 for entry in workers.values())
    assert all(entry["resources"]["GPU"] == 1 for entry in workers.values())
    assert 0 < config["idle_timeout_minutes"] <= 15
    assert f"up to {config['max_workers']} GPU nodes" in text(name)
    assert config["provider"]["cache_stopped_nodes"] is False


@pytest.mark.parametrize("name", LAUNCHED)
def test_the_head_starts_without_cpus_and_with_its_dashboard_on_loopback(name: str) -> None:
    head, worker = start_commands(name)
    assert "--num-cpus=0" in head
    assert "--autoscaling-config=~/ray_bootstrap_config.yaml" in head
    assert "--dashboard-host=127.0.0.1" in head
    assert "--address=$RAY_HEAD_IP:6379" in worker


@pytest.mark.parametrize("name", AUTOSCALED)
def test_spot_is_asked_for_first_and_leaves_room_on_demand(name: str) -> None:
    config = document(name)
    types = config["available_node_types"]
    spot, demand = types["gpu_spot"], types["gpu_on_demand"]
    assert spot["priority"] > demand["priority"]
    assert spot["max_workers"] < config["max_workers"] <= demand["max_workers"]
    same = {"InstanceMarketOptions", "scheduling"}
    assert {key: value for key, value in spot["node_config"].items() if key not in same} == {
        key: value for key, value in demand["node_config"].items() if key not in same
    }
    assert spot["resources"] == demand["resources"]


def test_spot_is_spot() -> None:
    aws, gcp = (document(name)["available_node_types"] for name in AUTOSCALED)
    assert aws["gpu_spot"]["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert "InstanceMarketOptions" not in aws["gpu_on_demand"]["node_config"]
    assert gcp["gpu_spot"]["node_config"]["scheduling"]["provisioningModel"] == "SPOT"
    assert "provisioningModel" not in gcp["gpu_on_demand"]["node_config"]["scheduling"]


@pytest.mark.parametrize("name", LAUNCHED)
def test_the_token_and_the_settings_reach_every_node(name: str) -> None:
    config = document(name)
    home = f"/home/{config['auth']['ssh_user']}"
    assert config["file_mounts"] == {
        f"{home}/.ray/auth_token": "~/.ray/auth_token",
        f"{home}/cluster.env": "~/.tbar-ray/cluster.env",
        f"{home}/wheels": "dist",
    }
    assert "\nRAY_AUTH_MODE=token\n" in text("cluster.env.example")
    assert any("set -a; . ~/cluster.env; set +a" in command for command in config["setup_commands"])
    assert any(
        "pip install" in command and "~/wheels/tbar_ray-*.whl" in command for command in config["setup_commands"]
    )


@pytest.mark.parametrize("name", LAUNCHED)
def test_nothing_is_open_to_the_world(name: str) -> None:
    assert "0.0.0.0" not in text(name)
    config = document(name)
    if name in AUTOSCALED:
        assert config["provider"]["use_internal_ips"] is True
    # with such a section Ray makes a group of its own, which opens SSH to every address
    assert "security_group" not in config["provider"]


def test_aws_nodes_use_a_group_of_the_user_and_the_new_metadata_service() -> None:
    for entry in document("aws.yaml")["available_node_types"].values():
        node = entry["node_config"]
        assert node["SecurityGroupIds"]
        assert node["MetadataOptions"]["HttpTokens"] == "required"
        assert node["IamInstanceProfile"]["Name"].startswith("tbar-ray-")


def test_gcp_nodes_have_no_public_address_and_accounts_of_their_own() -> None:
    for entry in document("gcp.yaml")["available_node_types"].values():
        node = entry["node_config"]
        assert all("accessConfigs" not in interface for interface in node["networkInterfaces"])
        assert [account["email"].split("@")[0] for account in node["serviceAccounts"]] in (
            ["tbar-ray-head"],
            ["tbar-ray-worker"],
        )


def test_on_premises_every_host_is_used_and_autoscaler_v2_is_not() -> None:
    config = prepared(document("onprem.yaml"))
    (entry,) = config["available_node_types"].values()
    assert entry["min_workers"] == entry["max_workers"] == len(config["provider"]["worker_ips"])
    assert "RAY_UP_enable_autoscaler_v2=0 ray up clusters/onprem.yaml" in text("onprem.yaml")


@pytest.mark.parametrize("kind", document("aws.yaml")["available_node_types"])
def test_ec2_knows_every_parameter_of_a_node(kind: str) -> None:
    session = pytest.importorskip("botocore.session", reason="needs botocore, which comes with moto (extra: dev)")
    validate = pytest.importorskip("botocore.validate")
    shape = session.get_session().get_service_model("ec2").operation_model("RunInstances").input_shape
    node = document("aws.yaml")["available_node_types"][kind]["node_config"]
    # Ray chooses one of the subnets, and how many nodes
    asked = {**node, "SubnetId": node["SubnetIds"][0], "MinCount": 1, "MaxCount": 1}
    del asked["SubnetIds"]
    assert validate.ParamValidator().validate(asked, shape).generate_report() == ""
    assert "Unknown parameter" in validate.ParamValidator().validate({**asked, "Zone": "a"}, shape).generate_report()


@pytest.mark.parametrize("kind", document("gcp.yaml")["available_node_types"])
def test_compute_engine_knows_every_field_of_a_node(kind: str) -> None:
    client = pytest.importorskip("googleapiclient", reason="needs google-api-python-client, which `dev` leaves out")
    file = Path(client.__file__).parent / "discovery_cache" / "documents" / "compute.v1.json"
    schemas = json.loads(file.read_text(encoding="utf-8"))["schemas"]
    node = document("gcp.yaml")["available_node_types"][kind]["node_config"]
    assert list(unknown_to_google(node, {"$ref": "Instance"}, schemas, kind)) == []
    assert list(unknown_to_google({**node, "zones": "a"}, {"$ref": "Instance"}, schemas, kind)) == [f"{kind}.zones"]


def unknown_to_google(value: Any, schema: dict[str, Any], schemas: dict[str, Any], where: str) -> Iterator[str]:
    """Yield the places of fields and values that a schema of Google's discovery documents does not know."""
    schema = schemas[schema["$ref"]] if "$ref" in schema else schema
    if isinstance(value, dict):
        known = schema.get("properties", {})
        for key, entry in value.items():
            if key in known:
                yield from unknown_to_google(entry, known[key], schemas, f"{where}.{key}")
            else:
                yield f"{where}.{key}"
    elif isinstance(value, list):
        if schema.get("type") != "array":
            yield where
        for entry in value:
            yield from unknown_to_google(entry, schema.get("items", {}), schemas, where)
    elif value not in schema.get("enum", [value]):
        yield where


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.name)
def test_policies_allow_named_actions_only(path: Path) -> None:
    policy = json.loads(path.read_text(encoding="utf-8"))
    assert policy["Version"] == "2012-10-17"
    for statement in policy["Statement"]:
        assert statement["Effect"] == "Allow"
        assert set(statement) <= {"Sid", "Effect", "Action", "Resource", "Condition"}
        assert not any("*" in action for action in actions_of(statement))
        if statement["Resource"] == "*":
            assert all(action.startswith("ec2:Describe") for action in actions_of(statement))


def actions_of(statement: dict[str, Any]) -> list[str]:
    """The actions of a statement, of which one need not be in a list."""
    action = statement["Action"]
    return [action] if isinstance(action, str) else list(action)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[dict[str, Any], set[str]]]:
    """(aws.yaml with things that moto has in place of what is to be replaced, the calls that are made from then on).

    moto stands for AWS in this process.
    """
    moto = pytest.importorskip("moto", reason="needs moto (extra: dev)")
    boto3 = pytest.importorskip("boto3")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    from ray.autoscaler._private.aws import utils

    config = prepared(document("aws.yaml"))
    nodes = [entry["node_config"] for entry in config["available_node_types"].values()]
    calls: set[str] = set()
    with moto.mock_aws():
        utils.resource_cache.cache_clear()
        utils.client_cache.cache_clear()
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", boto3.Session(region_name=config["provider"]["region"]))
        ec2, iam = boto3.client("ec2"), boto3.client("iam")
        subnet = ec2.describe_subnets()["Subnets"][0]
        group = ec2.create_security_group(GroupName="x", Description="x", VpcId=subnet["VpcId"])["GroupId"]
        image = ec2.describe_images()["Images"][0]["ImageId"]
        for name in {node["KeyName"] for node in nodes}:
            ec2.create_key_pair(KeyName=name)
        for name in {node["IamInstanceProfile"]["Name"] for node in nodes}:
            iam.create_instance_profile(InstanceProfileName=name)
        for node in nodes:
            node.update(SubnetIds=[subnet["SubnetId"]], SecurityGroupIds=[group], ImageId=image)
        boto3.DEFAULT_SESSION.events.register(
            "before-call", lambda model, **_: calls.add(f"{model.service_model.service_name}:{model.name}")
        )
        yield config, calls
    utils.resource_cache.cache_clear()
    utils.client_cache.cache_clear()


def test_the_policy_is_what_ray_asks_of_ec2_and_no_more(aws: tuple[dict[str, Any], set[str]]) -> None:
    from ray.autoscaler._private.aws.node_provider import AWSNodeProvider

    config, calls = aws
    ready = AWSNodeProvider.bootstrap_config(config)
    provider = AWSNodeProvider(ready["provider"], ready["cluster_name"])
    for kind, entry in ready["available_node_types"].items():
        tags = {"ray-node-type": "worker", "ray-user-node-type": kind, "ray-launch-config": "x"}
        assert provider.create_node(copy.deepcopy(entry["node_config"]), tags, 1)
    nodes = provider.non_terminated_nodes({})
    assert len(nodes) == 3
    provider.set_node_tags(nodes[0], {"ray-node-status": "up-to-date"})
    provider.terminate_nodes(nodes)
    assert provider.non_terminated_nodes({}) == []
    policy = json.loads((CLUSTERS / "aws-iam" / "cluster.json").read_text(encoding="utf-8"))
    allowed = {action for statement in policy["Statement"] for action in actions_of(statement)}
    # not asked for here: the table of instance types (below); EC2 itself resolves an image's name and gives a role
    assert allowed == calls | {"ec2:DescribeInstanceTypes", "ssm:GetParameters", "iam:PassRole"}


@pytest.mark.slow
def test_the_nodes_have_what_the_file_says(aws: tuple[dict[str, Any], set[str]]) -> None:
    from ray.autoscaler._private.aws.node_provider import AWSNodeProvider

    config, calls = aws
    for entry in config["available_node_types"].values():
        entry["resources"] = {}
    filled = AWSNodeProvider.fillout_available_node_types_resources(config)["available_node_types"]
    for kind in ("gpu_spot", "gpu_on_demand"):
        said = document("aws.yaml")["available_node_types"][kind]["resources"]
        assert said == {name: filled[kind]["resources"][name] for name in ("CPU", "GPU")}
        assert filled[kind]["resources"]["accelerator_type:L4"] == 1
    assert calls == {"ec2:DescribeInstanceTypes"}
