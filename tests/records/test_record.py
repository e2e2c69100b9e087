"""The record of a trial: what it derives, and what it refuses."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tbar_ray.planning.axes import STANDARD
from tbar_ray.records.record import SCHEMA_VERSION, TrialRecord, settings_of
from tests.records.records import error_map, failed, flat, infeasible, moved, record, retrieved, scores


@pytest.mark.parametrize(
    "made",
    [
        record(axes={"model.training.epochs": 3, "tbar.objective": "contrastive", "x.y": None, "x.z": 0.5}),
        record(alpha_sensitivity=flat(), disentanglement=error_map(), retrieval={"removed": retrieved(0.5)}),
        failed(),
        infeasible(),
        moved("badnets", "blended", 0.2),
    ],
    ids=["axes", "measures", "failed", "infeasible", "transfer"],
)
def test_a_record_reads_back_as_it_was(made: TrialRecord) -> None:
    again = TrialRecord.model_validate_json(made.model_dump_json())
    assert again == made
    assert {name: type(value) for name, value in again.settings.items()} == {
        name: type(value) for name, value in made.settings.items()
    }
    assert made.model_dump(mode="json")["schema_version"] == SCHEMA_VERSION


def test_settings_are_read_by_name() -> None:
    made = record("badnets", size=30, fraction=0.5, seed=4, method="gentle", axes={"tbar.steps": 7})
    assert (made.attack, made.method, made.seed, made.forget_size, made.clean_fraction) == (
        "badnets",
        "gentle",
        4,
        30,
        0.5,
    )
    assert (made.setting("tbar.steps"), made.setting("none")) == (7, None)
    assert list(made.settings) == [*STANDARD, "tbar.steps"]


def test_the_source_is_the_trials_own_attack_where_none_is_named() -> None:
    own, other = moved("badnets", "badnets", 0.1), moved("badnets", "blended", 0.1)
    assert (own.source, own.setting("source"), own.transferred) == ("badnets", "badnets", False)
    assert (other.source, other.setting("source"), other.transferred) == ("blended", "blended", True)


def test_scores_are_read_by_metric_and_model() -> None:
    made = record(
        removed=scores(0.8, 0.1, 0.7),
        infected=scores(0.9, 1.0, 0.0),
        clean=scores(1.0, 0.0, 0.9),
        retrieval={"infected": retrieved(0.5)},
    )
    assert made.value("ca") == pytest.approx(0.8, abs=1e-3)
    assert made.value("asr", "infected") == 1.0
    assert made.value("asr", "before_merge") is None
    assert made.value("image_to_text_at_5", "infected") == 0.6
    assert made.value("image_to_text_at_5") is None
    assert made.ca_retention == made.value("ca_retention") == pytest.approx(0.8 / 0.9, abs=1e-3)
    assert made.ca_retention_clean == made.value("ca_retention_clean") == pytest.approx(0.8, abs=1e-3)
    assert record(infected=scores(0, 1, 0)).ca_retention is None, "nothing to keep"
    assert failed().ca_retention is None


def test_the_selected_point_is_that_of_alpha() -> None:
    made = record(alphas=(0.0, 0.5, 1.0))
    assert made.selected_point is not None
    assert made.selected_point.alpha == made.alpha
    assert (made.selected_point.ca, made.selected_point.asr, made.selected_point.pa) == tuple(
        rate.value for rate in (made.path[1].scores.ca, made.path[1].scores.asr, made.path[1].scores.pa)
    )
    assert infeasible().selected_point is None


def test_a_record_is_frozen_and_closed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        record().status = "failed"  # type: ignore[misc]
    with pytest.raises(ValidationError, match="Extra inputs"):
        record(colour="red")
    with pytest.raises(ValidationError, match="status"):
        record(status="perhaps")


def test_settings_have_the_order_of_tables() -> None:
    made = settings_of("badnets", "tbar", 1, 2, 0.5, None, alpha=3, source="sig")
    assert made == {
        "attack": "badnets", "source": "sig", "method": "tbar", "forget_size": 2, "clean_fraction": 0.5,
        "poisoning_rate": None, "seed": 1, "alpha": 3,
    }  # fmt: skip
    assert list(made) == [*STANDARD, "alpha"]
