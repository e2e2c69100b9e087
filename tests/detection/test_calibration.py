"""The file of a calibration."""

from __future__ import annotations

from pathlib import Path

import pytest

from tbar_ray.detection.calibration import load_calibration, save_calibration
from tbar_ray.errors import DataError, SpecError
from tests.detection.zoo import placeholder


def test_a_calibration_is_the_same_after_writing_and_reading(tmp_path: Path) -> None:
    made = placeholder()
    save_calibration(made, tmp_path / "it.json")
    assert load_calibration(tmp_path / "it.json") == made


def test_scores_are_of_models_that_have_one() -> None:
    made = placeholder()
    first = made.references[0]
    lost = first.model_copy(update={"scores": {**first.scores, "decree": None}})
    made = made.model_copy(update={"references": (lost, *made.references[1:])})
    assert len(made.scores("decree", infected=False)) == 19
    assert len(made.scores("universal-noise", infected=False)) == 20
    assert (made.count(infected=False), made.count(infected=True)) == (20, 30)


def test_a_combination_is_of_exactly_these_searches() -> None:
    made = placeholder()
    found = made.combination({"decree", "universal-noise"})
    assert found is not None
    assert found.searches == ("universal-noise", "decree")
    assert made.combination([]) is None


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{}", "it.json: provenance: Field required; make it anew with `tbar inversion calibrate`"),
        (b'{"format": 2}', "it.json: format: Input should be 1"),
        (b"# page", "it.json: Invalid JSON"),
        (b"\xff\xfe", "it.json: is no text"),
        (None, "it.json: No such file or directory; make one with `tbar inversion calibrate`"),
    ],
)
def test_what_is_no_calibration_is_refused(content: bytes | None, problem: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "it.json").write_bytes(content)
    with pytest.raises(DataError, match=problem):
        load_calibration(tmp_path / "it.json")


def test_parameters_that_this_version_does_not_know_are_refused() -> None:
    made = placeholder()
    with pytest.raises(SpecError, match="inversion 'decree': old"):
        made.model_copy(update={"searches": {"decree": {"old": 1}}}).build(["decree"])
