"""What a wheel holds, so that the package works outside a checkout, and that its version has one place."""

import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest

from tbar_ray import __version__

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    builder = pytest.importorskip("hatchling.builders.wheel", reason="needs hatchling, the build back-end (extra: dev)")
    folder = tmp_path_factory.mktemp("dist")
    (path,) = builder.WheelBuilder(str(ROOT)).build(directory=str(folder), versions=["standard"])
    return ZipFile(path)


def test_every_job_is_in_the_wheel_as_it_is(wheel: ZipFile) -> None:
    jobs = sorted((ROOT / "jobs").rglob("*.yaml"))
    packed = sorted(name for name in wheel.namelist() if name.startswith("tbar_ray/jobs/"))
    assert packed == sorted(f"tbar_ray/{path.relative_to(ROOT).as_posix()}" for path in jobs)
    for path in jobs:
        assert wheel.read(f"tbar_ray/{path.relative_to(ROOT).as_posix()}") == path.read_bytes()


def test_schema_model_configurations_weights_and_templates_are_in_the_wheel(wheel: ZipFile) -> None:
    data = {
        path.relative_to(ROOT).as_posix()
        for pattern in ("*.json", "*.safetensors", "*.html", "*.js", "*.css")
        for path in (ROOT / "tbar_ray").rglob(pattern)
    }
    assert "tbar_ray/spec/campaign.schema.json" in data
    assert "tbar_ray/onemodel/templates/report.html" in data
    assert {"tbar_ray/report/templates/campaign.html", "tbar_ray/report/templates/page.js"} <= data
    assert data <= set(wheel.namelist())


def test_the_wheel_is_small(wheel: ZipFile) -> None:
    assert wheel.filename is not None
    assert Path(wheel.filename).stat().st_size <= 20e6


def test_the_wheel_has_the_version_of_the_package(wheel: ZipFile) -> None:
    (metadata,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    assert f"\nVersion: {__version__}\n" in wheel.read(metadata).decode()


def test_the_version_is_written_in_the_package_alone() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" not in project["project"]
    assert project["tool"]["hatch"]["version"]["path"] == "tbar_ray/__init__.py"
