from __future__ import annotations

import pytest

from tbar_ray.records.scores import METRICS, PointRecord, RateRecord
from tests.records.records import rate, scores


def test_rates_are_read_by_metric() -> None:
    made = scores(0.8, 0.1, 0.7)
    assert [made.rate(metric) for metric in METRICS] == [
        made.ca, made.ca_top5, made.asr, made.asr_all_images, made.pa
    ]  # fmt: skip
    assert len({made.rate(metric).value for metric in ("ca", "ca_top5", "asr", "pa")}) == 4


def test_a_rate_without_images_is_undefined() -> None:
    assert RateRecord(value=None).n is None
    assert rate(0.5).n is not None


@pytest.mark.parametrize("name", ["as_applied", "reestimated"])
def test_a_point_has_the_scores_of_one_way_beside_those_of_the_other(name: str) -> None:
    own, other = scores(0.8, 0.1, 0.7), scores(0.6, 0.0, 0.5)
    point = PointRecord(alpha=1, scores=own, ca_retention=None, **{name: other})
    assert (point.ca, point.asr, point.pa) == (own.ca.value, own.asr.value, own.pa.value)
    assert point.beside == other
    assert PointRecord(alpha=1, scores=own, ca_retention=None).beside is None
