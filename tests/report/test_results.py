from __future__ import annotations

from tbar_ray.records.record import TrialRecord
from tbar_ray.report.results import flat_range, reading, result_rows, without_result
from tests.records.records import epochs_grid, failed, flat, grid, infeasible, masked, moved, rate, record, scores
from tests.report.reading import rows_of
from tests.specs import spec


def test_asr_stands_between_that_before_and_that_of_the_clean_model() -> None:
    row = rows_of(result_rows(grid()))[0]
    assert row["attack"] == "badnets"
    assert row["forget set"] == "20"
    assert row["clean"] == "0%"
    assert row["α"] == "0.5"
    assert row["CA"] == "82.2% [80.0, 84.3]"
    assert row["CA top-5"].startswith("92.2% [")
    assert row["ASR"] == "14.8% [12.9, 17.0]"
    assert row["ASR before"] == "97.9%"
    assert row["clean model's ASR"] == "1.2%"
    assert row["retention"] == "96.0%"
    assert row["status"] == "done"


def test_scores_as_applied_have_columns_where_models_have_running_statistics() -> None:
    assert "masked by statistics" not in rows_of(result_rows(grid()))[0]
    assert "Masked by statistics" not in reading(spec(), grid())
    first, second = rows_of(result_rows([masked(), record("blended")]))
    assert first["CA as applied"].startswith("70.0% [")
    assert first["ASR as applied"].startswith("1.0% [")
    assert first["masked by statistics"] == f"{((masked().asr_masked or 0) * 100):+.1f}"
    assert second["masked by statistics"] == "–"
    assert "Masked by statistics: ASR with statistics re-estimated on clean images" in reading(spec(), [masked()])


def test_the_columns_mean_the_same_where_alpha_was_selected_as_applied() -> None:
    made = masked()
    turned = made.model_copy(
        update={"removed": made.as_applied, "reestimated": made.removed, "as_applied": None, "statistics": "as_applied"}
    )
    first, second = rows_of(result_rows([made, turned]))
    for column in ("CA as applied", "ASR as applied", "masked by statistics"):
        assert first[column] == second[column]


def test_factors_have_columns_where_they_vary() -> None:
    assert "vector of" not in rows_of(result_rows(grid()))[0]
    rows = rows_of(result_rows([moved("badnets", "badnets", 0.1), moved("badnets", "sig", 0.2), record(seed=3)]))
    assert [row["vector of"] for row in rows] == ["badnets (own)", "sig", "badnets (own)"]
    assert [row["seed"] for row in rows] == ["0", "0", "3"]


def test_an_axis_without_a_short_name_and_the_learning_rate_have_columns() -> None:
    rows = rows_of(result_rows(epochs_grid()))
    assert [(row["attack"], row["epochs"]) for row in rows] == [
        ("badnets", "1"), ("badnets", "3"), ("blended", "1"), ("blended", "3"),
    ]  # fmt: skip
    rates = rows_of(result_rows([record(axes={"learning_rate": rate}) for rate in (1e-5, 2e-5)]))
    assert [row["learning rate"] for row in rates] == ["1e-05", "2e-05"]


def test_parameters_of_several_methods_share_a_column() -> None:
    made = [
        record(axes={"tbar.steps": 5, "tbar.learning_rate": 1e-5}),
        record(method="finetune", axes={"finetune.steps": 9}),
        record(method="plain"),
    ]
    rows = rows_of(result_rows(made))
    assert [row["parameters"] for row in rows] == ["steps 5, lr 1e-05", "steps 9", "–"]
    alone = rows_of(result_rows([made[0], record(axes={"tbar.steps": 9, "tbar.learning_rate": 1e-5})]))
    assert [row["steps"] for row in alone] == ["5", "9"]
    assert "parameters" not in alone[0]


def test_poisoning_rates_that_attacks_bring_tell_no_trials_apart() -> None:
    own = [record(), record("sig", poisoning_rate=0.1)]
    assert "poisoned" not in rows_of(result_rows(own))[0]
    varied = rows_of(result_rows([*own, record(poisoning_rate=0.002)]))
    assert [row["poisoned"] for row in varied] == ["1%", "10%", "0.2%"]


def test_the_flat_range_of_alpha_has_a_column_where_it_was_measured() -> None:
    assert "flat α" not in rows_of(result_rows(grid()))[0]
    found = [flat(2.0, 6.5), flat(2.0, 6.5, end=True), flat(None, None), None]
    records = [record(size=i, alpha_sensitivity=one) for i, one in enumerate(found, 1)]
    assert [row["flat α"] for row in rows_of(result_rows(records))] == [
        "2.00 to 6.50 (4.50)", "2.00 to 6.50 (≥ 4.50)", "none", "–",
    ]  # fmt: skip
    assert "ASR ≤ 1% and CA ≥ 95%" in reading(spec(), records)
    assert "Flat α" not in reading(spec(), grid())
    assert flat_range(failed()) == "–"


def test_asr_over_all_images_is_a_footnote() -> None:
    def over_all(asr: float, every: float, size: int) -> TrialRecord:
        return record(size=size, removed=scores(0.8, asr, 0.5).model_copy(update={"asr_all_images": rate(every)}))

    first, second = over_all(0.01, 0.03, 100), over_all(0.10, 0.09, 9)
    assert "it is 3.0% to 9.0%, at most 2.0 points away" in result_rows([first, second])
    assert "all images" not in result_rows([failed()])


def test_no_image_of_any_class_answered_with_the_target_is_a_result_too() -> None:
    assert "it is 0.0%, at most 0.0 points away" in result_rows([record(removed=scores(0.8, 0.0, 0.5))])


def test_trials_without_a_result_keep_their_row_and_their_reason() -> None:
    records = [record(), failed(size=50), infeasible(size=70), failed(size=9, source="sig", reason=None)]
    rows = rows_of(result_rows(records))
    assert [row["status"] for row in rows] == ["done", "failed", "infeasible", "failed"]
    assert rows[1]["ASR"] == "–"
    assert rows[1]["ASR before"] == "97.9%"
    lines = without_result(records).splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("- failed: attack badnets, method tbar, forget set 50")
    assert "attack did not take: validation ASR 31.0%" in lines[0]
    assert "vector of sig" in lines[2]
    assert lines[2].endswith("no reason recorded")
    assert without_result([record()]) == "None."
    assert result_rows([]) == "None yet."
