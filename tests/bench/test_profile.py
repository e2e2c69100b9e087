from pathlib import Path

import pytest

from tbar_ray.bench.profile import CampaignProfile, Span, draw_profile, save_trace

SPANS = (
    Span("corpus", "corpus", 2.0, 4.0, 1),
    Span("clean-model", "clean model", 4.0, 10.0, 2),
    Span("path", "10 α of tbar", 10.0, 13.0, 1),
    Span("path", "10 α of tbar", 10.5, 14.0, 1),
)


@pytest.fixture
def profile() -> CampaignProfile:
    return CampaignProfile("demo", 16.0, 2, SPANS)


def test_what_lies_before_between_and_after_the_stages(profile: CampaignProfile) -> None:
    assert (profile.before, profile.after) == (2.0, 2.0)
    assert profile.busy == pytest.approx((2 + 2 * 6 + 3 + 3.5) / (2 * 16))
    assert list(profile.by_kind()) == ["clean-model", "path", "corpus"]
    assert profile.by_kind()["path"] == (2, 6.5, 6.5)


def test_stages_at_a_time_have_a_row_each(profile: CampaignProfile) -> None:
    assert profile.lanes() == [0, 0, 0, 1]


def test_picture_and_trace_are_written(profile: CampaignProfile, tmp_path: Path) -> None:
    draw_profile(profile, tmp_path / "profile.png")
    save_trace(profile, tmp_path / "trace.json")
    assert (tmp_path / "profile.png").read_bytes().startswith(b"\x89PNG")
    events = profile.trace()["traceEvents"]
    assert [(event["ts"], event["dur"], event["tid"]) for event in events][1] == (4e6, 6e6, 0)
