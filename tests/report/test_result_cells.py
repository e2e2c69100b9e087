from __future__ import annotations

from tbar_ray.report.result_cells import head_cells, trial_rows
from tests.records.records import failed, masked, record


def test_cells_are_sorted_by_values_and_tell_split_and_interval() -> None:
    made = record(size=1500)
    heads, (row,) = head_cells([made]), trial_rows([made], {})
    cells = dict(zip(heads, row.cells, strict=True))
    assert (cells["forget set"].text, cells["forget set"].value) == ("1,500", 1500)
    asr = made.rate("asr")
    assert asr is not None
    assert cells["ASR"].value == asr.value
    assert cells["ASR"].hint.startswith("attack success rate after removal, test split: ")
    assert "of 1,180 images; 95% interval" in cells["ASR"].hint
    assert cells["α"].hint.startswith("selected on validation of 11 α; validation: CA")


def test_a_trial_without_a_result_tells_why() -> None:
    gone = failed()
    cells = dict(zip(head_cells([gone]), trial_rows([gone], {})[0].cells, strict=True))
    assert (cells["ASR"].text, cells["ASR"].value) == ("–", None)
    assert cells["status"].hint.startswith("attack did not take")


def test_scores_with_other_statistics_have_columns_where_models_have_any() -> None:
    records = [masked(), record("sig")]
    assert "ASR as applied" in head_cells(records)
    assert {len(row.cells) for row in trial_rows(records, {})} == {len(head_cells(records))}
