from __future__ import annotations

import pytest

from tests.leaderboard.cells import cell, missing


def test_ca_lost_is_of_the_infected_models_and_never_negative() -> None:
    assert cell(ca=0.96).ca_lost == pytest.approx(0.04)
    better = cell(ca=1.0, infected=cell(ca=0.9).cleaned)
    assert better.ca_lost == 0
    assert missing().ca_lost is None


def test_what_is_missing_has_no_value() -> None:
    assert missing().value("asr") is None
    assert not missing().is_measured
    assert cell(status="failed", cleaned=None).is_measured, "a failure is a result"


def test_a_search_for_the_trigger_tells_cells_apart() -> None:
    assert cell().key != cell(search="decree").key
    assert cell().key == cell(asr=0.5).key
