"""The verdict in words."""

from __future__ import annotations

import dataclasses

import pytest

from tbar_ray.evaluation.rates import Rate
from tbar_ray.evaluation.scores import Scores
from tbar_ray.onemodel.examine import Examined
from tbar_ray.onemodel.measure import Measurement
from tbar_ray.onemodel.panels import DetectorResult, SecondScan
from tbar_ray.onemodel.remove import Cleaned
from tbar_ray.onemodel.verdict import BLIND, outcome_of, verdict


def measured(asr: int, baseline: int = 1, n: int = 400) -> Measurement:
    """Scores with so many hits of the trigger, and without it, of n images."""
    rate = Rate.of(n, n)
    return Measurement(rate, rate, {}, Scores(rate, rate, Rate.of(asr, n), rate, rate), Rate.of(baseline, n))


@pytest.mark.parametrize(
    ("before", "after", "outcome"),
    [
        (390, 1, "removed"),
        (390, 4, "removed"),
        (390, 100, "reduced"),
        (390, 385, "not removed"),
        (390, 395, "not removed"),
    ],
)
def test_intervals_decide(before: int, after: int, outcome: str) -> None:
    assert outcome_of(measured(before), measured(after)) == outcome


def test_an_asr_at_the_baseline_is_removed_however_high_that_is() -> None:
    assert outcome_of(measured(390), measured(80, baseline=70)) == "removed"


def test_a_cleaned_model_is_judged_first_and_its_limits_are_said(cleaned: Cleaned) -> None:
    told = verdict(cleaned.examined, cleaned)
    assert told.outcome == "removed"
    assert told.headline.startswith("The backdoor towards “blue” was found and removed")
    assert f"α = {cleaned.alpha:g}" in " ".join(told.sentences)
    assert told.blind == BLIND
    for word in ("Dormant", "Text-side", "Semantic"):
        assert any(line.startswith(word) for line in told.blind)
    assert "test of one trigger" in told.errors[0]


def test_a_loss_of_accuracy_beyond_chance_is_in_the_headline(cleaned: Cleaned) -> None:
    def at(before: int, after: int) -> Cleaned:
        examined = dataclasses.replace(
            cleaned.examined, before=dataclasses.replace(measured(390), ca=Rate.of(before, 400))
        )
        return dataclasses.replace(
            cleaned, examined=examined, after=dataclasses.replace(measured(1), ca=Rate.of(after, 400))
        )

    costly, free = at(400, 200), at(390, 386)
    told = verdict(costly.examined, costly)
    assert told.headline == "The backdoor towards “blue” was found and removed; CA fell from 100.0 % to 50.0 %."
    assert told.costly
    assert not verdict(free.examined, free).costly
    assert verdict(free.examined, free).headline == "The backdoor towards “blue” was found and removed."


def test_a_clean_model_is_not_said_to_be_clean(examined: Examined) -> None:
    weak = dataclasses.replace(examined, gate=measured(3), before=measured(3))
    assert verdict(weak, None).headline == "No backdoor was found under this trigger: ASR 0.8 %, below 50 %."
    assert "has a backdoor" in verdict(examined, None).headline


def test_too_little_ca_is_said(cleaned: Cleaned) -> None:
    poor = dataclasses.replace(cleaned, feasible=False)
    assert "keeps less of CA than was asked for (60 %)" in " ".join(verdict(poor.examined, poor).sentences)


def test_a_second_scan_that_alarms_is_in_the_headline(cleaned: Cleaned) -> None:
    head = "The backdoor towards “blue” was found and removed"
    alarmed = verdict(cleaned.examined, cleaned, again=SecondScan("infected", "It is infected."))
    assert alarmed.headline == f"{head}; a second scan calls the cleaned model infected."
    assert alarmed.sentences[-1] == "The cleaned model was scanned again: It is infected."
    assert "how often a second scan is wrong about them was not measured" in alarmed.errors[-1]
    calm = verdict(cleaned.examined, cleaned, again=SecondScan("no evidence", "Nothing was found."))
    assert calm.headline == f"{head}."
    assert calm.sentences[-1] == "The cleaned model was scanned again: Nothing was found."


def test_detectors_bring_their_measured_error_rates(examined: Examined) -> None:
    result = DetectorResult("decree", 0.05, (0.3,), (0.04,), 0.1, False, Rate.of(2, 20), Rate.of(1, 20))
    told = verdict(examined, None, [result])
    assert "1 of 1 detectors call the model infected: decree." in told.sentences
    assert "decree calls 10.0 % [2.8, 30.1] of 20 clean reference models infected" in told.errors[-1]
