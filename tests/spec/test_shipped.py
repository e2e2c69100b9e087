from pathlib import Path

import pytest

import tbar_ray
from tbar_ray.errors import SpecError
from tbar_ray.spec import shipped
from tbar_ray.spec.load import load_spec
from tbar_ray.spec.reference import SCHEMA_FILE
from tbar_ray.spec.shipped import MODELINE, shipped_specs, starter

JOBS = Path(__file__).parents[2] / "jobs"


def package_at(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    package = folder / "site" / "tbar_ray"
    package.mkdir(parents=True)
    monkeypatch.setattr(tbar_ray, "__file__", str(package / "__init__.py"))
    return package


def test_a_checkout_ships_its_jobs() -> None:
    assert {path.resolve() for path in shipped_specs().values()} == set(JOBS.rglob("*.yaml"))
    assert next(iter(shipped_specs())) == min(path.stem for path in JOBS.glob("*.yaml"))
    assert {name.split("/")[0] for name in shipped_specs() if "/" in name} == {"paper", "photographs"}
    assert ["/" in name for name in shipped_specs()] == sorted("/" in name for name in shipped_specs())


def test_an_installed_package_ships_those_inside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = package_at(tmp_path, monkeypatch)
    for folder in (package / "jobs" / "paper", package.parent / "jobs"):
        folder.mkdir(parents=True)
        (folder / "mine.yaml").write_text("")
    assert shipped_specs() == {"paper/mine": package / "jobs" / "paper" / "mine.yaml"}


def test_a_package_without_jobs_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package_at(tmp_path, monkeypatch)
    with pytest.raises(SpecError, match="shipped specs are missing"):
        shipped_specs()


@pytest.mark.parametrize("name", ["quickstart", "paper/alpha"])
def test_a_starter_is_the_spec_with_the_schema_and_its_own_name(name: str, tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    text = starter(name, file)
    file.write_text(text, encoding="utf-8")
    assert text.splitlines()[0] == f"{MODELINE}file://{SCHEMA_FILE}"
    assert f"tbar campaign run {file}" in text
    assert load_spec(file) == load_spec(shipped.shipped_specs()[name])


def test_an_unknown_starter_names_the_nearest() -> None:
    with pytest.raises(SpecError, match="attack_matrix"):
        starter("atack_matrix", Path("x.yaml"))
