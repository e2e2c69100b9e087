"""Dockerfiles: pinned, not root, no downloads by ADD; hadolint says more where it is installed."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.clusters.files import CLUSTERS, DOCKERFILES, ROOT, name_of, text

IDS = list(map(name_of, DOCKERFILES))
UNTRACKED = ("mlruns", ".venv", ".git", "dist", "tests", "docs")


def instructions(content: str) -> list[tuple[str, str]]:
    """(instruction, rest) of a Dockerfile, continued lines joined."""
    plain = "\n".join(line for line in content.splitlines() if not line.lstrip().startswith("#"))
    lines = re.sub(r"\\\n\s*", " ", plain).splitlines()
    return [(word.upper(), rest) for word, _, rest in (line.strip().partition(" ") for line in lines) if word]


def faults(content: str) -> list[str]:
    """What is wrong with a Dockerfile, one line each."""
    found, stages, user = [], set(), ""
    for word, rest in instructions(content):
        if word == "FROM":
            image, *alias = rest.split(" AS ")
            stages |= set(alias)
            tag = image.partition(":")[2]
            if image not in stages and (not tag or tag == "latest"):
                found.append(f"{image}: no fixed tag")
            user = ""
        if word == "ADD":
            found.append("ADD: use COPY")
        if word == "USER":
            user = rest.partition(":")[0]
        if word == "RUN" and "pip install" in rest and "--no-cache-dir" not in rest:
            found.append("pip install without --no-cache-dir")
        if word == "RUN" and re.search(r"\bsudo\b|curl[^|]*\|\s*(ba)?sh", rest):
            found.append(f"RUN {rest}")
        if word in ("ENV", "ARG") and re.search(r"PASSWORD|SECRET|TOKEN|KEY", rest):
            found.append(f"{word} {rest}: a secret")
    if not user.isdigit() or user == "0":
        found.append(f"USER {user or 'is missing'}: not a number above 0")
    return found


@pytest.mark.parametrize("path", DOCKERFILES, ids=IDS)
def test_it_has_no_fault(path: Path) -> None:
    assert faults(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("broken", "fault"),
    [
        ("FROM python:latest\nUSER 1000\n", "python:latest: no fixed tag"),
        ("FROM python\nUSER 1000\n", "python: no fixed tag"),
        ("FROM python:3.12\nADD https://example.org/x /x\nUSER 1000\n", "ADD: use COPY"),
        ("FROM python:3.12\nRUN pip install x\nUSER 1000\n", "pip install without --no-cache-dir"),
        ("FROM python:3.12\n", "USER is missing: not a number above 0"),
        ("FROM python:3.12\nUSER 1000\nFROM python:3.12\n", "USER is missing: not a number above 0"),
        ("FROM python:3.12\nUSER root\n", "USER root: not a number above 0"),
        ("FROM python:3.12\nENV API_TOKEN=x\nUSER 1000\n", "ENV API_TOKEN=x: a secret"),
    ],
)
def test_a_fault_would_be_found(broken: str, fault: str) -> None:
    assert fault in faults(broken)


@pytest.mark.parametrize("path", DOCKERFILES, ids=IDS)
def test_hadolint_has_nothing_to_say(path: Path) -> None:
    program = shutil.which("hadolint")
    if program is None:
        pytest.skip("hadolint is not installed")
    ended = subprocess.run([program, str(path)], capture_output=True, text=True, check=False)
    assert ended.stdout == ""
    assert ended.returncode == 0


@pytest.mark.parametrize("path", DOCKERFILES, ids=IDS)
def test_no_registry_is_named(path: Path) -> None:
    for word, rest in instructions(path.read_text(encoding="utf-8")):
        if word == "FROM":
            assert "." not in rest.partition("/")[0].partition(":")[0]
        assert "index-url" not in rest


def test_one_argument_chooses_the_gpu() -> None:
    content = instructions(text("docker/Dockerfile"))
    assert ("ARG", "VARIANT=cpu") in content
    bases = {rest.partition(" AS ")[0] for word, rest in content if word == "FROM"}
    assert bases == {"rayproject/ray:${RAY_VERSION}-${PYTHON}-${VARIANT}"}
    assert any("ray[default,tune]==${RAY_VERSION}" in rest for word, rest in content if word == "RUN")


def test_what_is_copied_exists_and_the_context_holds_no_more() -> None:
    ignore = (CLUSTERS / "docker" / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in ignore if line and not line.startswith("#")]
    assert rules[0] == "*"
    kept = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    copied = {
        source
        for word, rest in instructions(text("docker/Dockerfile"))
        if word == "COPY" and "--from" not in rest
        for source in [part for part in rest.split() if not part.startswith("--")][:-1]
    }
    assert kept == copied
    assert all((ROOT / source).exists() for source in copied)
    assert not kept & set(UNTRACKED)


def test_mlflow_is_in_the_range_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (wanted,) = (line.removeprefix("mlflow") for line in project["dependencies"] if line.startswith("mlflow"))
    assert f'"mlflow[db]{wanted}"' in text("services/Dockerfile")
