"""Which trials get a sheet by themselves."""

from __future__ import annotations

import pytest

from tbar_ray.campaign import best_sheets
from tbar_ray.campaign.best_sheets import MOST, best_for_sheets
from tests.records.records import failed, infeasible, record
from tests.specs import spec


def test_the_best_feasible_trial_of_each_attack_has_a_sheet_and_of_many_attacks_the_first() -> None:
    worse, best = record("badnets", 10), record("badnets", 500)  # more images leave less ASR on validation
    assert best_for_sheets(spec(), [worse, best, infeasible("blended"), failed("wanet")]) == [best]
    attacks = [record(f"a{place}") for place in range(MOST + 2)]
    assert best_for_sheets(spec(), attacks) == attacks[:MOST]


def test_large_models_and_many_images_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    done = record()
    assert best_for_sheets(spec(), [done]) == [done]
    assert best_for_sheets(spec(model__architecture="ViT-B-32"), [done]) == []
    rate = done.rate("ca")
    assert rate is not None
    assert rate.n is not None
    monkeypatch.setattr(best_sheets, "SMALL_IMAGES", 3 * 64 * 64 * rate.n)
    assert best_for_sheets(spec(), [done]) == [done]
    monkeypatch.setattr(best_sheets, "SMALL_IMAGES", 3 * 64 * 64 * rate.n - 1)
    assert best_for_sheets(spec(), [done]) == []
