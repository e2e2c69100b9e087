import json

from typer.testing import CliRunner

from tbar_ray.cli.main import app
from tbar_ray.spec.reference import reference, schema

runner = CliRunner()


def test_schema_prints_the_json_schema_alone() -> None:
    assert json.loads(runner.invoke(app, ["spec", "schema"]).stdout) == schema()


def test_reference_prints_the_markdown_alone() -> None:
    assert runner.invoke(app, ["spec", "reference"]).stdout == reference()
