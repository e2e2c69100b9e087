from __future__ import annotations

from tbar_ray.records.measures import OtherBackdoor
from tbar_ray.report.backdoors import other_backdoors
from tests.records.records import failed, grid, record
from tests.report.reading import rows_of


def test_other_backdoors_of_a_model_are_shown_before_and_after() -> None:
    others = {
        "blended": OtherBackdoor(asr_infected=0.97, asr=0.4),
        "sig": OtherBackdoor(asr_infected=0.9, asr=None),
    }
    first, second = rows_of(other_backdoors([record(others=others), record("alone", others={})]))
    assert (first["removed"], first["other backdoor"]) == ("badnets", "blended")
    assert (first["its ASR before"], first["clean model's ASR"]) == ("97.9%", "1.2%")
    assert first["its ASR after"].startswith("5.8% [")
    assert (first["ASR before"], first["ASR after"]) == ("97.0%", "40.0%")
    assert (second["other backdoor"], second["ASR after"]) == ("sig", "–")


def test_no_section_where_a_campaign_has_nothing_for_it() -> None:
    assert other_backdoors([]) == other_backdoors([*grid(), failed(size=3)]) == ""
