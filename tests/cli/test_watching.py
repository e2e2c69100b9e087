"""Bars of a long command."""

from __future__ import annotations

import pytest

from tbar_ray.cli.watching import watching


def test_every_part_has_a_bar_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    with watching() as watch:
        for done in range(3):
            watch("reading", done, 2)
        watch("choosing α [bold]", 0, 0)
        watch("choosing α [bold]", 3, 3)
    out, err = capsys.readouterr()
    assert out == ""
    assert "reading" in err
    assert "2/2" in err
    assert "3/3" in err


def test_an_error_before_the_first_part_is_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="early"), watching():
        raise ValueError("early")
    assert capsys.readouterr() == ("", "")
