"""Settings out of range."""

from __future__ import annotations

import pytest

from tbar_ray.errors import SpecError
from tbar_ray.onemodel.settings import CleaningSettings


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"alphas": (-1,)}, "give finite numbers of at least 0"),
        ({"alphas": ()}, "give finite numbers of at least 0"),
        ({"alphas": (1, float("inf"))}, "give finite numbers of at least 0"),
        ({"max_asr": 7}, "max_asr 7 is a share"),
        ({"clean_fraction": 1.0}, r"clean_fraction 1.0: give a share in \[0, 1\)"),
        ({"validation_fraction": 3}, "validation_fraction 3: give a share between 0 and 1"),
        ({"forget": 0}, "forget 0: give at least 1"),
        ({"clean_pairs": -3}, "clean_pairs -3: give at least 1"),
        ({"prefer": "speed"}, "prefer 'speed': one of accuracy, strength"),
        ({"min_retention": 1.5}, "min_retention 1.5 is a share"),
        ({"min_asr": float("nan")}, "min_asr nan is a share"),
        ({"max_images": 1}, "give at least 2"),
    ],
)
def test_settings_out_of_range_are_one_line(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        CleaningSettings(**wrong)  # type: ignore[arg-type]
