from __future__ import annotations

import json

from typer.testing import CliRunner

from tbar_ray.cli.main import app
from tbar_ray.inversion.registry import INVERTERS

RUN = CliRunner()


def test_every_search_is_listed_with_what_it_needs() -> None:
    entries = {entry["name"]: entry for entry in json.loads(RUN.invoke(app, ["inversion", "list", "--json"]).stdout)}
    assert set(entries) == set(INVERTERS)
    assert entries["decree"]["needs"] == "clean images"
    assert entries["universal-noise"]["needs"] == "clean images and classes"
    assert entries["decree"]["parameters"]["starts"]["default"] == 1
    assert "decree" in RUN.invoke(app, ["inversion", "list"]).stdout


def test_one_search_is_shown_with_its_parameters() -> None:
    shown = RUN.invoke(app, ["inversion", "show", "decree"]).stdout
    assert "2303.15180" in shown
    assert "epochs" in shown


def test_a_wrong_name_is_one_line() -> None:
    wrong = RUN.invoke(app, ["inversion", "show", "decre"])
    assert wrong.exit_code != 0
    assert "did you mean" in str(wrong.exception)
