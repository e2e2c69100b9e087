"""How the threads of the command line wait for each other."""

from __future__ import annotations

import os

import pytest

from tbar_ray.cli.main import main


@pytest.mark.parametrize(("given", "expected"), [(None, "passive"), ("active", "active")])
def test_threads_wait_without_spinning_unless_the_user_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, given: str | None, expected: str
) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", given or "")  # what it is afterwards is undone
    if given is None:
        monkeypatch.delenv("OMP_WAIT_POLICY")
    monkeypatch.setattr("tbar_ray.cli.main.app", lambda: None)
    main()
    assert os.environ["OMP_WAIT_POLICY"] == expected
