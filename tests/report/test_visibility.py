from __future__ import annotations

from tbar_ray.report.visibility import models_seen, visibility_table
from tests.records.records import failed, gated, record, scores, seen
from tests.report.reading import rows_of

RATIO = "attacks.blended.parameters.ratio"


def test_a_row_per_attack_with_visibility_outcome_and_what_ca_it_cost() -> None:
    took = record(visibility=seen(25.46, 0.91), gate=gated(0.97))
    weak = failed("wanet", clean=scores(0.868, 0.01, 0.8), visibility=seen(31.0, 0.96), gate=gated(0.2))
    rows = rows_of(visibility_table([took, record(size=300, visibility=seen(25.46)), weak]))
    assert rows == [
        {
            "attack": "badnets", "PSNR in dB": "25.5 [25.1, 25.9]", "SSIM": "0.910 [0.900, 0.920]",
            "infected ASR": "97.9% [96.9, 98.6]", "CA lost, in points": "1.2", "outcome": "took",
        },
        {
            "attack": "wanet", "PSNR in dB": "31.0 [30.6, 31.4]", "SSIM": "0.960 [0.950, 0.970]",
            "infected ASR": "97.9% [96.9, 98.6]", "CA lost, in points": "1.2", "outcome": "**did not take**",
        },
    ]  # fmt: skip


def test_of_a_search_the_best_budget_on_validation_is_shown() -> None:
    def tried(rate: float, ratio: float, asr: float, ca: float = 0.85) -> dict[str, object]:
        settings = {"poisoning_rate": rate, "axes": {RATIO: ratio}}
        return {**settings, "visibility": seen(40 - 100 * ratio), "gate": gated(asr, ca=ca)}

    budgets = [
        failed("blended", **tried(0.01, 0.1, 0.4)),
        failed("blended", **tried(0.02, 0.1, 0.7, ca=0.7)),  # intact models come first, whatever their ASR
        failed("blended", **tried(0.05, 0.15, 0.6)),
        record("sig", poisoning_rate=0.05, visibility=seen(20), gate=gated(0.9)),
    ]
    blended, sig = rows_of(visibility_table(budgets))
    assert (blended["infected models"], blended["of these took"]) == ("3", "0")
    assert blended["PSNR in dB"].startswith("25.0 [")
    assert blended["budget"] == "poisoned 5%, ratio 0.15"
    assert (sig["infected models"], sig["of these took"], sig["outcome"]) == ("1", "1", "took")
    assert sig["budget"] == "poisoned 5%"


def test_a_trigger_that_changes_no_image_is_infinitely_far_from_visible() -> None:
    (row,) = rows_of(visibility_table([record(visibility=seen(None, 1.0))]))
    assert row["PSNR in dB"] == "∞"


def test_models_of_unknown_visibility_or_asr_have_no_row() -> None:
    assert visibility_table([]) == ""
    assert visibility_table([record(), failed(visibility=seen(20), infected=None)]) == ""
    assert models_seen([record(size=size, visibility=seen(20)) for size in (20, 300)]) == [
        record(size=20, visibility=seen(20))
    ]
