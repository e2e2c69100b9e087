"""The files under clusters/, as text and as documents."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
CLUSTERS = ROOT / "clusters"
AUTOSCALED = ("aws.yaml", "gcp.yaml")
LAUNCHED = (*AUTOSCALED, "onprem.yaml")
DOCKERFILES = sorted(CLUSTERS.rglob("Dockerfile"))
YAML = sorted(CLUSTERS.rglob("*.yaml"))
TEXTS = [*YAML, *DOCKERFILES, CLUSTERS / "cluster.env.example", CLUSTERS / "README.md"]

Document = dict[str, Any]


def name_of(path: Path) -> str:
    """The name of a file inside clusters/."""
    return path.relative_to(CLUSTERS).as_posix()


@cache
def text(name: str) -> str:
    """A file of clusters/."""
    return (CLUSTERS / name).read_text(encoding="utf-8")


def documents(name: str) -> list[Document]:
    """The documents of a YAML file of clusters/, read anew."""
    return [document for document in yaml.safe_load_all(text(name)) if document is not None]


def document(name: str) -> Document:
    """The only document of a YAML file of clusters/, read anew."""
    (only,) = documents(name)
    return only


def head_of(path: Path) -> str:
    """The comments that a file opens with, without their marks."""
    lines = path.read_text(encoding="utf-8").splitlines()
    end = next((number for number, line in enumerate(lines) if line and not line.startswith("#")), len(lines))
    return "\n".join(line.removeprefix("#").removeprefix(" ") for line in lines[:end])


def joined(content: str) -> str:
    """A text in which what a backslash continues on the next line, in a comment or not, is one line."""
    return re.sub(r"\\\n\s*#?\s*", " ", content)


def ray_clusters() -> list[tuple[str, Document]]:
    """(file, spec) of every Ray cluster for KubeRay."""
    found = []
    for path in sorted((CLUSTERS / "kuberay").glob("*.yaml")):
        for manifest in documents(name_of(path)):
            if manifest["kind"] == "RayCluster":
                found.append((name_of(path), manifest["spec"]))
            elif manifest["kind"] == "RayJob":
                found.append((name_of(path), manifest["spec"]["rayClusterSpec"]))
    return found


def pod_templates() -> list[tuple[str, Document]]:
    """(where, template) of every pod that a manifest describes."""
    found = []
    for file, cluster in ray_clusters():
        groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
        found += [(f"{file}:{group.get('groupName', 'head')}", group["template"]) for group in groups]
    for path in sorted((CLUSTERS / "services" / "kubernetes").glob("*.yaml")):
        for manifest in documents(name_of(path)):
            if "template" in manifest["spec"]:
                found.append((f"{name_of(path)}:{manifest['metadata']['name']}", manifest["spec"]["template"]))
    return found
