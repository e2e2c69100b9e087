from __future__ import annotations

import ast
from pathlib import Path

import pytest

import tbar_ray.cli
from tbar_ray.cli.options import local_file, local_folder, local_path
from tbar_ray.errors import SpecError


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a folder and a file, a home, and a variable OUT."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OUT", str(tmp_path / "there"))
    (tmp_path / "there").mkdir()
    (tmp_path / "x.png").touch()
    return tmp_path


@pytest.mark.parametrize("read", [local_path, local_file, local_folder])
def test_home_and_variables_are_places(read: object, here: Path) -> None:
    assert callable(read)
    assert (read("~/new"), read("$OUT/new"), read("new")) == (here / "home/new", here / "there/new", Path("new"))


@pytest.mark.parametrize(
    ("place", "shown"),
    [
        ("s3://bucket/out", "s3://bucket/out"),
        ("https://host/x?sig=secret&a=1", "https://host/x?a=1&***"),
        ("pipe:cat x", "pipe:cat x"),
    ],
)
def test_other_machines_are_refused_and_no_secret_is_said(place: str, shown: str) -> None:
    with pytest.raises(SpecError) as caught:
        local_path(place)
    assert str(caught.value) == f"{shown}: give a path on this machine"


@pytest.mark.parametrize(
    ("text", "said"),
    [("$NOWHERE/new", r"\$NOWHERE/new: no such path \(\$NOWHERE is not set\)"), (" ", "path is empty")],
)
def test_what_would_make_a_folder_of_an_odd_name_is_refused(
    text: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOWHERE", raising=False)
    with pytest.raises(SpecError, match=said):
        local_folder(text)


def test_a_folder_is_no_file_and_a_file_no_folder() -> None:
    with pytest.raises(SpecError, match=r"there: is a folder; give a file$"):
        local_file("$OUT")
    with pytest.raises(SpecError, match=r"^x\.png: is a file; give a folder$"):
        local_folder("x.png")


def test_every_path_of_every_command_is_read_so() -> None:
    """An argument or option that is a path, and is not read by one of the three, would make a folder `~`."""
    unread = []
    for file in Path(tbar_ray.cli.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Subscript) and ast.unparse(node.value) == "Annotated"):
                continue
            kind, how = (
                ast.unparse(node.slice).split(", typer.", 1) if ", typer." in ast.unparse(node.slice) else ("", "")
            )
            if "Path" in kind and "parser=local_" not in how:
                unread.append(f"{file.name}: {how}")
    assert unread == []
