"""What a scan found."""

from __future__ import annotations

from tbar_ray.onemodel.scan_result import Scan
from tests.onemodel.test_scan_verdict import called


def test_the_trigger_and_target_are_those_of_the_most_telling_search(scanned: Scan) -> None:
    found = called(scanned, "infected")
    assert found.telling == "universal-noise"
    assert found.trigger == found.found["universal-noise"].inversion.trigger
    assert found.leads_to == found.found["universal-noise"].target
    assert (found.target, found.outcome) == ("green", "infected")
    assert called(scanned, "infected", lost=("universal-noise",)).telling == "decree"


def test_without_evidence_a_trigger_is_kept_and_no_target_named(scanned: Scan) -> None:
    found = called(scanned, "no evidence")
    assert found.target is None
    assert found.class_of(found.leads_to) == "green"
    assert found.trigger is not None


def test_without_a_trigger_there_is_nothing(scanned: Scan) -> None:
    found = called(scanned, "infected", lost=("universal-noise", "decree"))
    assert (found.telling, found.trigger, found.leads_to, found.target) == (None, None, None, None)
    assert found.scores == {"universal-noise": None, "decree": None}
