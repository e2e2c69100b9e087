from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from tbar_ray.cli import main as cli
from tbar_ray.errors import SpecError
from tbar_ray.unlearning.registry import UNLEARNERS

runner = CliRunner()


def test_list_names_every_method_and_its_needs() -> None:
    result = runner.invoke(cli.app, ["method", "list"])
    assert result.exit_code == 0
    assert all(name in result.stdout for name in UNLEARNERS)
    assert "clean pairs" in result.stdout


def test_list_as_json() -> None:
    listed = json.loads(runner.invoke(cli.app, ["method", "list", "--json"]).stdout)
    assert [entry["name"] for entry in listed] == list(UNLEARNERS)
    tbar = next(entry for entry in listed if entry["name"] == "tbar")
    assert tbar["needs"] == ["trigger", "target", "forget set"]
    assert tbar["strength"] == "negation"
    assert all(said["description"] for entry in listed for said in entry["parameters"].values())
    assert tbar["parameters"]["learning_rate"]["default"] == 1e-5


@pytest.mark.parametrize("name", UNLEARNERS)
def test_every_method_can_be_shown_with_all_that_it_takes(name: str) -> None:
    result = runner.invoke(cli.app, ["method", "show", name])
    assert result.exit_code == 0
    assert all(key in result.stdout for key in UNLEARNERS[name].model_fields)


def test_a_wrong_name_is_one_line_with_the_nearest() -> None:
    result = runner.invoke(cli.app, ["method", "show", "cleanclp"])
    assert isinstance(result.exception, SpecError)
    assert "did you mean 'cleanclip'" in str(result.exception)
