from __future__ import annotations

from pathlib import Path

import pytest

from tbar_ray.data.places import exists, expanded, inside, is_file, is_folder, is_remote, resolve, unset


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory, a home, and a variable DATA."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("DATA", "/data/sets")
    monkeypatch.delenv("NOWHERE", raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("~/cc3m", "/home/me/cc3m"),
        ("~", "/home/me"),
        ("~nobody-of-that-name/x", "<here>/~nobody-of-that-name/x"),
        ("$DATA/cc3m", "/data/sets/cc3m"),
        ("${DATA}/{00000..00331}.tar", "/data/sets/{00000..00331}.tar"),
        ("$NOWHERE/x", "<here>/$NOWHERE/x"),
        ("sets/cc3m/", "<here>/sets/cc3m"),
        ("/odd dir [v2] {a,b}/x.tar", "/odd dir [v2] {a,b}/x.tar"),
        ("file:///data/x.tar", "/data/x.tar"),
        ("file://localhost/data/x.tar", "/data/x.tar"),
        ("file:/data/x.tar", "/data/x.tar"),
        ("FILE:///data/x.tar", "/data/x.tar"),
        ("file:///odd%20dir/%7B0..3%7D.tar", "/odd dir/{0..3}.tar"),
        ("/odd%20dir/x.tar", "/odd%20dir/x.tar"),
        ("S3://bucket/Set/*.tar", "s3://bucket/Set/*.tar"),
        ("HTTPS://host/Set.tar", "https://host/Set.tar"),
        ("s3://bucket/$NOWHERE/*.tar", "s3://bucket/$NOWHERE/*.tar"),
        ("https://host$DATA/x.tar?sig=1", "https://host/data/sets/x.tar?sig=1"),
        ("pipe:cat ~/x.tar | $DATA", "pipe:cat ~/x.tar | $DATA"),
    ],
)
def test_places(written: str, meant: str, here: Path) -> None:
    expected = meant.replace("<here>", str(here))
    assert resolve(written) == expected
    assert resolve(resolve(written)) == expected


def test_what_is_there_is_meant_literally(here: Path) -> None:
    (here / "$DATA").mkdir()
    assert resolve("$DATA") == str(here / "$DATA")


def test_percent_codes_of_what_is_there_are_part_of_its_name(here: Path) -> None:
    (here / "a%20b").mkdir()
    (here / "c d").mkdir()
    assert resolve(f"file://{here}/a%20b/{{0..3}}%2B.tar") == f"{here}/a%20b/{{0..3}}+.tar"
    assert resolve(f"file://{here}/c%20d/x.tar") == f"{here}/c d/x.tar"


def test_variables_that_are_not_set_are_named(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ALSO_NOT", raising=False)
    assert unset("$DATA/x") == unset("~/x") == unset("pipe:echo $NOWHERE") == ""
    assert unset("$NOWHERE/x") == " ($NOWHERE is not set)"
    assert unset("s3://bucket/${ALSO_NOT}/$NOWHERE") == " ($ALSO_NOT, $NOWHERE are not set)"
    (here / "$NOWHERE").mkdir()
    assert unset("$NOWHERE/new") == ""


@pytest.mark.parametrize(
    ("place", "remote"),
    [
        ("pipe:cat x", True),
        ("s3://b/x", True),
        ("http://h/x", True),
        ("file:///x", False),
        ("FILE:/x", False),
        ("/x", False),
        ("x", False),
    ],
)
def test_what_is_remote(place: str, remote: bool) -> None:
    assert is_remote(place) is remote


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("/data/set/", "/data/set/test/0.tar"),
        ("~/set", "/home/me/set/test/0.tar"),
        ("s3://bucket/set", "s3://bucket/set/test/0.tar"),
        ("https://host/set?sv=1&sig=2", "https://host/set/test/0.tar?sv=1&sig=2"),
        ("/what?/set", "/what?/set/test/0.tar"),
    ],
)
def test_files_of_a_set(place: str, expected: str) -> None:
    assert inside(place, "test/0.tar") == expected


def test_names_that_are_too_long_are_not_there(here: Path) -> None:
    long = "{" + ",".join(f"{number:05d}" for number in range(100)) + "}.tar"
    assert (exists(long), is_file(long), is_folder(long)) == (False, False, False)
    (here / "x").touch()
    assert (exists("x"), is_file("x"), is_folder("x"), is_folder(".")) == (True, True, False, True)


@pytest.mark.parametrize(
    ("written", "meant"),
    [("~/out", "/home/me/out"), ("$DATA/out", "/data/sets/out"), ("out/x", "out/x"), ("file:///out", "/out")],
)
def test_a_path_to_write_to_stays_relative(written: str, meant: str) -> None:
    assert expanded(written) == Path(meant)
