"""Every file says at its head how to launch it, what it costs, how to submit and watch, and how to tear it down."""

import re
from pathlib import Path

import pytest
import yaml

from tests.clusters.files import CLUSTERS, DOCKERFILES, ROOT, TEXTS, YAML, head_of, joined, name_of, text

COMMENTED = [*YAML, *DOCKERFILES]
WANTED = {
    "launch": r"^Launch\b",
    "cost": r"^Cost: \S",
    "submit": r"^(Submit|Launch and submit)\b",
    "watch": r"^(Watch: \S|Submit, watch: \S)",
    "tear down": r"^Tear down: \S",
}
PRICE = re.compile(r"[$€£]\s?\d|\d\s?(USD|EUR|GBP|cents?)\b")


@pytest.mark.parametrize("wanted", WANTED)
@pytest.mark.parametrize("path", COMMENTED, ids=map(name_of, COMMENTED))
def test_the_head_says_what_is_needed(path: Path, wanted: str) -> None:
    assert re.search(WANTED[wanted], head_of(path), re.MULTILINE), f"{wanted}: not in the head of {name_of(path)}"


@pytest.mark.parametrize("path", COMMENTED, ids=map(name_of, COMMENTED))
def test_the_head_is_honest_about_what_was_tried(path: Path) -> None:
    assert re.search(r"^Never (launched|started|built) by this project: checked offline only", head_of(path), re.M)


@pytest.mark.parametrize("path", YAML, ids=map(name_of, YAML))
def test_it_is_yaml_without_tags_that_run_code(path: Path) -> None:
    found = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    assert found
    assert all(isinstance(entry, dict) for entry in found)


@pytest.mark.parametrize("path", TEXTS, ids=map(name_of, TEXTS))
def test_no_price_is_invented(path: Path) -> None:
    assert not PRICE.search(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", TEXTS, ids=map(name_of, TEXTS))
def test_files_that_it_names_exist(path: Path) -> None:
    for named in re.findall(r"(?<![\w/~.])clusters/[\w./-]*\w", joined(path.read_text(encoding="utf-8"))):
        assert (ROOT / named).exists() or named == "clusters/services/.env", named


def test_lines_are_no_longer_than_elsewhere() -> None:
    long = [
        f"{name_of(path)}:{number}"
        for path in TEXTS
        if path.suffix != ".md"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if len(line) > 132 and "sourceImage" not in line and "mlflow:5000" not in line
    ]
    assert long == []


def test_the_readme_lists_every_file() -> None:
    readme = text("README.md")
    for path in CLUSTERS.rglob("*"):
        if path.is_file() and path.name not in ("README.md", ".env"):
            folder = f"`{name_of(path.parent)}/`"
            assert f"`{name_of(path)}`" in readme or folder in readme, name_of(path)


def test_the_file_with_passwords_is_not_tracked() -> None:
    assert "/clusters/services/.env" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert "openssl rand" in head_of(CLUSTERS / "services" / "compose.yaml")
