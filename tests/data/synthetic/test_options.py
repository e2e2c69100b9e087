from __future__ import annotations

from typing import Any

import pytest

from tbar_ray.data.synthetic.options import DEFAULTS, WritingOptions
from tbar_ray.errors import DataError


@pytest.mark.parametrize(
    ("samples", "options", "message"),
    [
        (0, {}, "number of samples must be at least 1, not 0"),
        (10, {"size": 15}, "size must be at least 16, not 15"),
        (10, {"samples_per_shard": 0}, "samples per shard must be at least 1"),
        (10, {"samples_per_shard": 10_001}, "samples per shard must be at most 10000"),
        (100_001, {"samples_per_shard": 1}, "raise samples per shard"),
        (10, {"workers": 0}, "workers must be at least 1"),
        (10, {"image_format": "gif"}, "image format must be jpg or png, not gif"),
    ],
)
def test_options_out_of_range_are_refused(samples: int, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        WritingOptions(**options).check(samples)


def test_options_in_range_are_not() -> None:
    DEFAULTS.check(1)
    WritingOptions(size=16, samples_per_shard=10_000, workers=1, image_format="png").check(1_000_000_000)


def test_every_sample_is_in_one_shard() -> None:
    assert list(WritingOptions(samples_per_shard=4).pieces(10)) == [(0, range(4)), (1, range(4, 8)), (2, range(8, 10))]
