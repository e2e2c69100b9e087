from __future__ import annotations

from tbar_ray import __version__, origin


def test_a_command_is_told_as_a_shell_takes_it_without_secrets() -> None:
    words = ["/venv/bin/tbar", "campaign", "run", "my job.yaml", "--set", "data.train=https://me:secret@host/a"]
    told = origin.command(words)
    assert told.startswith("tbar campaign run 'my job.yaml' --set")
    assert "secret" not in told
    assert origin.command([]) == ""


def test_code_and_machine_are_told() -> None:
    found = origin.commit()
    assert origin.code() == f"tbar-ray {__version__}" + (f", commit {found[:12]}" if found else "")
    assert " CPUs" in origin.machine()
