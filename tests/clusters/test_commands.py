"""Commands that the files name are sound: options of `tbar`, specs, versions of Ray, images."""

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
from packaging.requirements import Requirement
from packaging.version import Version

from tbar_ray.cli.main import app
from tests.clusters.files import CLUSTERS, DOCKERFILES, ROOT, TEXTS, document, joined, name_of, ray_clusters, text

COMMAND = re.compile(r"(?<![\w/])tbar (?:campaign|ui|data|store|trigger|method|init|bench|model|spec)\b[^`\n]*")
RAY = re.compile(r"ray\[[\w,]+\]==(\d+\.\d+\.\d+)|\bray(\d+\.\d+\.\d+)-|RAY_VERSION=(\d+\.\d+\.\d+)")
IN_IMAGE = "/opt/tbar-ray/"


def commands(path: Path) -> list[list[str]]:
    """The command lines of `tbar` that a file names."""
    found = []
    for line in COMMAND.findall(joined(path.read_text(encoding="utf-8"))):
        bare = re.sub(r"\$\(.*?\)", "X", line.split(";")[0].rstrip("."))
        try:
            found.append(shlex.split(bare, comments=True))
        except ValueError:  # a quotation that began before the command
            found.append(shlex.split(bare.replace("'", "").replace('"', ""), comments=True))
    # prose names a command without its arguments
    return [[spec_of(path, word) for word in line] for line in found if len(line) > 3 or path.suffix != ".md"]


def parse(line: list[str]) -> dict[str, Any]:
    """Parse a command line of `tbar` as the program does, without running it.

    Raises:
        Exception: with an exit code of 2, if there is no such command or option. Its class is click's or typer's own.
    """
    command: Any = typer.main.get_command(app)
    context, rest = command.context_class(command, info_name="tbar"), line[1:]
    while hasattr(command, "resolve_command"):
        _, command, rest = command.resolve_command(context, rest)
    params: dict[str, Any] = command.make_context("tbar", list(rest), parent=context).params
    return params


def spec_of(path: Path, word: str) -> str:
    """A word of a command; where it is `$SPEC`, a variable of a SkyPilot file, the spec that is meant."""
    return str(document(name_of(path))["envs"]["SPEC"]) if word == "$SPEC" else word


@pytest.mark.parametrize("path", TEXTS, ids=map(name_of, TEXTS))
def test_commands_have_sound_options_and_specs(path: Path) -> None:
    for line in commands(path):
        params = parse(line)
        if "spec" in params:
            spec = str(params["spec"]).removeprefix(IN_IMAGE)  # the image has its own copy
            assert spec == "SPEC" or (ROOT / spec).is_file(), " ".join(line)


def test_every_kind_of_cluster_names_a_campaign() -> None:
    without = {name_of(path) for path in TEXTS if not commands(path)}
    assert without == {
        "kuberay/networkpolicy.yaml",
        "services/Dockerfile",
        "services/kubernetes/mlflow.yaml",
        "services/kubernetes/networkpolicy.yaml",
        "services/kubernetes/objects.yaml",
        "services/kubernetes/postgres.yaml",
        "cluster.env.example",
    }


@pytest.mark.parametrize("line", ["tbar campaign run SPEC --stroe x", "tbar campaign rnu SPEC", "tbar campaign run"])
def test_an_unsound_command_would_be_found(line: str) -> None:
    with pytest.raises(Exception, match=r"[Nn]o such|[Mm]issing") as caught:
        parse(shlex.split(line))
    assert getattr(caught.value, "exit_code", None) == 2


def test_the_clusters_keep_results_where_all_nodes_reach_them() -> None:
    for path in TEXTS:
        if path.suffix != ".yaml":
            continue
        for line in commands(path):
            if line[1:3] == ["campaign", "run"] and "SPEC" not in line:
                assert parse(line)["store"] in ("${TBAR_STORE:?}", "$TBAR_STORE"), " ".join(line)


def test_the_variable_of_the_store_is_set_where_jobs_read_it() -> None:
    assert "\nTBAR_STORE=" in text("cluster.env.example")
    assert "\nMLFLOW_TRACKING_URI=" in text("cluster.env.example")
    for file, cluster in ray_clusters():
        for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
            (container,) = group["template"]["spec"]["containers"]
            assert {"configMapRef": {"name": "tbar-ray"}} in container["envFrom"], file
    assert "create configmap tbar-ray --from-literal=TBAR_STORE=" in text("kuberay/raycluster.yaml")


def test_ray_has_one_version_which_the_package_allows() -> None:
    found = {
        next(filter(None, match)): name_of(path)
        for path in TEXTS
        for match in RAY.findall(path.read_text(encoding="utf-8"))
    }
    found.update({str(cluster["rayVersion"]): file for file, cluster in ray_clusters()})
    assert len(found) == 1, found
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (wanted,) = (Requirement(line) for line in project["dependencies"] if line.startswith("ray["))
    (version,) = found
    assert Version(version) in wanted.specifier
    # priorities of node types are newer than the package's oldest Ray
    assert Version(version) >= Version("2.56")


def test_images_are_those_that_the_dockerfiles_make() -> None:
    built = {
        tag for path in DOCKERFILES for tag in re.findall(r"build .*?-t (\S+)", path.read_text(encoding="utf-8"))
    } - {"tbar-ray-mlflow"}
    used = {
        container["image"]
        for _, cluster in ray_clusters()
        for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])
        for container in group["template"]["spec"]["containers"]
    }
    assert used == {"tbar-ray:ray2.60.0-cpu", "tbar-ray:ray2.60.0-gpu"}
    assert used | {"tbar-ray-mlflow:3"} == built


def test_heads_run_on_the_small_image_and_gpus_on_the_other() -> None:
    for file, cluster in ray_clusters():
        (head,) = cluster["headGroupSpec"]["template"]["spec"]["containers"]
        assert head["image"].endswith("-cpu"), file
        for group in cluster["workerGroupSpecs"]:
            (worker,) = group["template"]["spec"]["containers"]
            assert worker["image"].endswith("-gpu") == ("nvidia.com/gpu" in worker["resources"]["limits"]), file


def test_the_image_has_the_specs_where_jobs_look_for_them() -> None:
    assert f"COPY jobs {IN_IMAGE}jobs" in text("docker/Dockerfile")
    assert (CLUSTERS / "docker" / "Dockerfile.dockerignore").read_text(encoding="utf-8").count("!jobs") == 1
