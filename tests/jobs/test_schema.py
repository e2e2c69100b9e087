"""Every shipped campaign names the schema that editors use, and is valid under it."""

from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from tbar_ray.spec.reference import SCHEMA_FILE, schema
from tbar_ray.spec.shipped import MODELINE

JOBS = Path(__file__).parents[2] / "jobs"
SPECS = sorted(JOBS.rglob("*.yaml"))
IDS = [str(path.relative_to(JOBS)) for path in SPECS]


@pytest.mark.parametrize("path", SPECS, ids=IDS)
def test_its_first_line_leads_editors_to_the_schema(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith(MODELINE)
    assert (path.parent / first.removeprefix(MODELINE)).resolve() == SCHEMA_FILE.resolve()


@pytest.mark.parametrize("path", SPECS, ids=IDS)
def test_it_is_valid_as_editors_read_it(path: Path) -> None:
    # no repair of 1e-5, which YAML 1.1 reads as text: written 1.0e-5, it is a number to every editor
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert [error.message for error in Draft202012Validator(schema()).iter_errors(content)] == []
