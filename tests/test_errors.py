from __future__ import annotations

import errno

import pytest

from tbar_ray.errors import first_line, one_line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("no such thing\nmore"), "no such thing"),
        (ValueError("\n  indented, after a blank line"), "indented, after a blank line"),
        (ValueError(), "ValueError"),
        (ValueError("\n"), "ValueError"),
        (OSError(errno.ENOSPC, "No space left on device", "/a/file"), "No space left on device"),
        (OSError("no number"), "no number"),
    ],
)
def test_the_first_line_of_an_error_is_one_that_says_something(error: Exception, line: str) -> None:
    assert first_line(error) == line
    assert first_line(error, 5) == line[:5]


@pytest.mark.parametrize(
    ("error", "line"), [(ValueError("no such\n  thing\t"), "no such thing"), (ValueError(" \n"), "ValueError")]
)
def test_an_error_of_several_lines_becomes_one_line(error: Exception, line: str) -> None:
    assert one_line(error) == line
