from __future__ import annotations

from tbar_ray.report.dictionary import FIXED, meanings
from tbar_ray.report.fields import fields_of, point_fields_of, settings_fields
from tbar_ray.report.rebound_rows import COLUMNS
from tests.records.records import (
    curve_of,
    error_map,
    gated,
    geometry,
    grown,
    masked,
    rebounding,
    record,
    retrieved,
    scores,
    seen,
)
from tests.report.test_inversion import FOUND


def test_every_column_of_any_campaign_has_a_meaning_of_its_own() -> None:
    records = [
        masked(),
        grown(disentanglement=error_map(geometry=geometry()), gate=gated(0.9), visibility=seen(25)),
        record(rebounds=(rebounding(curve_of(0.0, 0.3)),), downstream={"wise-ft": scores(0.8, 0.5, 0.3)}),
        record(inversion=FOUND),
        record(before_merge=scores(0.9, 0.5, 0.1), retrieval={"removed": retrieved(0.7), "clean": retrieved(0.8)}),
    ]
    columns = {*fields_of(records), *point_fields_of(records), *settings_fields(records), *COLUMNS}
    told = meanings(columns, "test", "after removal")
    axes = {name for name, meaning in told.items() if meaning.text.startswith("axis of the campaign")}
    assert axes == {"data.synthetic.samples"}
    texts = [meaning.text for meaning in told.values()]
    assert len(set(texts)) == len(texts) - 1, "counts of masked ASR and of scores alone are told alike"
    assert set(FIXED) <= columns | {"learning_rate"}, "and no meaning is of a column that is no more"


def test_scores_name_their_model_and_split() -> None:
    told = meanings(["asr_infected_low", "ca", "asr_wise_ft", "poison.training.epochs"], "validation", "of the row")
    assert told["asr_infected_low"].text.endswith(
        "of the infected model, validation images: lower end of the 95% interval"
    )
    assert told["ca"].text.endswith("of the row, validation images")
    assert "after the change wise-ft" in told["asr_wise_ft"].text
    assert told["poison.training.epochs"].text == "axis of the campaign: epochs"
