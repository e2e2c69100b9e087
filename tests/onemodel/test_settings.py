"""Settings out of range."""

from __future__ import annotations

import pytest

from tbar_ray.errors import SpecError
from tbar_ray.onemodel.settings import CleaningSettings


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"alphas": (-1,)}, "give numbers of at least 0"),
        ({"alphas": ()}, "give numbers of at least 0"),
        ({"min_retention": 1.5}, "min_retention 1.5 is a share"),
        ({"min_asr": float("nan")}, "min_asr nan is a share"),
        ({"max_images": 1}, "give at least 2"),
    ],
)
def test_settings_out_of_range_are_one_line(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        CleaningSettings(**wrong)  # type: ignore[arg-type]
