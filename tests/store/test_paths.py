from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import create_engine

from tbar_ray.errors import StoreError
from tbar_ray.store.paths import default_artifacts, default_store, home, sqlite_path, tracking_place


@pytest.fixture(autouse=True)
def nothing_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory and home, and none of the variables."""
    for name in ("TBAR_HOME", "RAY_JOB_CONFIG_JSON_ENV_VAR", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    monkeypatch.setenv("PLACE", str(tmp_path / "place"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_results_are_here_where_a_variable_says_or_at_home_in_a_job(
    nothing_set: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert home() == nothing_set / "mlruns"
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    assert home() == nothing_set / "me/.tbar-ray/mlruns"
    monkeypatch.setenv("TBAR_HOME", "~/results")
    assert home() == nothing_set / "me/results"
    assert default_store() == str(nothing_set / "me/results/store")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("sqlite:///~/x.db", "sqlite:///{0}/me/x.db"),
        ("sqlite:///$PLACE/x.db?timeout=9", "sqlite:///{0}/place/x.db?timeout=9"),
        ("sqlite:///x.db", "sqlite:///x.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("https://$PLACE/x", "https://$PLACE/x"),
        (None, "sqlite:///{0}/mlruns/mlflow.db"),
    ],
)
def test_home_and_variables_are_places_of_databases(
    given: str | None, expected: str, nothing_set: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tracking_place(given) == expected.format(nothing_set)
    if given is not None:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", given)
        assert tracking_place() == expected.format(nothing_set)


def test_a_variable_that_is_not_set_is_no_place_of_a_database(
    nothing_set: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOWHERE", raising=False)
    with pytest.raises(StoreError, match=r"^sqlite:///\$NOWHERE/x\.db: no such database \(\$NOWHERE is not set\)$"):
        tracking_place("sqlite:///$NOWHERE/x.db")


@pytest.mark.parametrize("name", ["plain", "what? dir", "a%20b", "50% [v2] #1 {a,b}", "c+d?x=1"])
def test_a_folder_of_any_name_can_hold_the_database(
    name: str, nothing_set: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the library that opens it reads the URI, too."""
    folder = nothing_set / name
    folder.mkdir()
    monkeypatch.setenv("TBAR_HOME", str(folder))
    uri = tracking_place()
    assert sqlite_path(uri) == str(folder / "mlflow.db")
    assert default_artifacts(uri) == folder / "artifacts"
    create_engine(uri).connect().close()
    assert [file.name for file in folder.iterdir()] == ["mlflow.db"]


def test_only_a_folder_that_must_be_is_written_with_signs_of_urls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TBAR_HOME", "/odd dir [v2] #1 50% {a,b}")
    assert tracking_place() == "sqlite:////odd dir [v2] #1 50% {a,b}/mlflow.db"


def test_other_places_have_no_file() -> None:
    assert (sqlite_path("https://host"), sqlite_path("sqlite:///:memory:"), default_artifacts("https://host")) == (
        None, None, None,
    )  # fmt: skip
