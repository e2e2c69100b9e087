import json
from pathlib import Path

import pytest
from matplotlib.figure import Figure

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


def test_the_picture_shows_every_stage_when_it_ran_and_what_each_kind_took(
    profile: CampaignProfile, tmp_path: Path, drawn: list[Figure]
) -> None:
    draw_profile(profile, tmp_path / "profile.png")
    assert (tmp_path / "profile.png").read_bytes().startswith(b"\x89PNG")
    (figure,) = drawn
    line, bars = figure.axes
    spans = [
        (bar.get_x(), bar.get_width(), bar.get_y() + bar.get_height() / 2) for bars in line.containers for bar in bars
    ]
    assert spans == [(2.0, 2.0, 0.0), (4.0, 6.0, 0.0), (10.0, 3.0, 0.0), (10.5, 3.5, 1.0)]
    assert line.get_xlim() == (0, 16)
    assert line.get_title() == f"demo: 16 s, {profile.busy:.0%} of 2 cores inside stages"
    colours = [bars[0].get_facecolor() for bars in line.containers]
    assert colours[2] == colours[3]
    assert len(set(colours)) == 3
    (container,) = bars.containers
    assert [label.get_text() for label in bars.get_yticklabels()] == ["corpus", "path", "clean-model"]
    assert [bar.get_width() for bar in container] == [2.0, 6.5, 12.0]
    assert [bar.get_facecolor() for bar in container] == [colours[0], colours[2], colours[1]]
    assert [text.get_text() for text in bars.texts] == [" 2 s in 1", " 6 s in 2", " 12 s in 1"]


def test_the_trace_is_written(profile: CampaignProfile, tmp_path: Path) -> None:
    save_trace(profile, tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert [(event["ts"], event["dur"], event["tid"]) for event in events][1] == (4e6, 6e6, 0)
