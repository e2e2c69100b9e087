"""The verdict of a scan in words."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from tbar_ray.detection.searches import Searched
from tbar_ray.detection.verdict import judge_scores
from tbar_ray.evaluation.rates import Rate
from tbar_ray.inversion.target import Target
from tbar_ray.onemodel.scan_result import Scan
from tbar_ray.onemodel.scan_verdict import percent, scan_verdict, target_line
from tests.detection.zoo import leaning


def called(scan: Scan, outcome: str, target: int | None = 1, lost: tuple[str, ...] = ()) -> Scan:
    """Return a scan with another outcome and target; some searches did not converge."""
    found = {}
    for name, each in scan.found.items():
        leads = Target(target, 0.9, 0.02, Rate.of(95, 100), torch.zeros(4))
        inversion = dataclasses.replace(each.inversion, score=5.0, trigger=scan.trigger)
        if name in lost:
            inversion = dataclasses.replace(inversion, score=None, trigger=None)
        found[name] = Searched(inversion, None if name in lost else leads, 1.0)
    calibration = leaning(outcome, scan.opened.model.architecture)
    scores = {name: each.inversion.score for name, each in found.items()}
    judged = judge_scores(calibration, scores, scan.opened.model.architecture, scan.images, 4)
    return dataclasses.replace(scan, found=found, calibration=calibration, judgement=judged)


def test_an_infected_model_is_named_with_its_target(scanned: Scan) -> None:
    infected = called(scanned, "infected")
    told = scan_verdict(infected)
    assert told.headline == "This model is infected (probability more than 99.9 %), towards “green”."
    assert target_line(infected) == "green: 95.0 % [88.8, 97.8] of 100 images are led to it"
    text = " ".join(told.sentences)
    assert "95.0 % [88.8, 97.8] of 100 images that had another answer are answered with “green”" in text
    assert "2 of 2 triggers that were found lead there" in text
    assert "universal-noise: 5.00; clean reference models score -300.00" in text


def test_no_target_is_an_answer(scanned: Scan) -> None:
    unknown = called(scanned, "infected", target=None)
    told = scan_verdict(unknown)
    assert "; no target was found." in told.headline
    assert target_line(unknown) == "no target found"
    assert "no class gains enough answers (90.0 points at most)" in " ".join(told.sentences)


def test_a_clean_model_has_no_target_whatever_the_searches_led_to(scanned: Scan) -> None:
    clean = called(scanned, "no evidence")
    told = scan_verdict(clean)
    assert told.headline == "No evidence of a backdoor was found (probability of one less than 0.1 %)."
    assert clean.target is None
    assert target_line(clean).startswith("none")
    assert "“green”" not in " ".join(told.sentences)


@pytest.mark.parametrize(
    ("outcome", "lost", "why"),
    [
        ("inconclusive", (), "it scores between the clean and the infected reference models"),
        ("no evidence", ("decree",), "decree did not converge, and the other scores alone clear no model"),
        ("infected", ("decree", "universal-noise"), "no search converged, which says nothing about the model"),
    ],
)
def test_what_is_inconclusive_says_why(scanned: Scan, outcome: str, lost: tuple[str, ...], why: str) -> None:
    told = scan_verdict(called(scanned, outcome, lost=lost))
    assert told.headline.startswith("Inconclusive")
    assert why in told.headline
    for name in lost:
        assert f"{name} did not converge: it has no score, which is no sign of a clean model." in told.sentences


def test_error_rates_are_told_and_their_reach(scanned: Scan) -> None:
    told = scan_verdict(called(scanned, "infected")).errors
    assert "0.0 % [0.0, 16.1] are called infected" in told[0]
    assert "100.0 % [88.6, 100.0] are, and of 0.0 %" in told[0]
    assert "AUROC 1.000" in told[0]
    assert "20 clean and 30 infected ones (a made-up zoo" in told[1]


@pytest.mark.parametrize(
    ("outcome", "headline"),
    [
        (
            "infected",
            "This model scores as infected ones do, towards “green”; for a model like this, how often that is",
        ),
        ("no evidence", "Inconclusive: no reference model is like it, so that its scores clear it no more than"),
    ],
)
def test_of_a_model_unlike_the_reference_models_no_probability_is_told(
    scanned: Scan, outcome: str, headline: str
) -> None:
    known = called(scanned, outcome)
    judged = judge_scores(known.calibration, known.scores, "ViT-B-32", known.images, 4)
    strange = dataclasses.replace(known, judgement=judged)
    told = scan_verdict(strange)
    assert told.headline.startswith(headline)
    assert "robabilit" not in told.headline + " ".join(told.sentences)
    assert "its images have 224 px, theirs 64. So there is no probability" in told.errors[0]


def test_what_it_cannot_see_is_said(scanned: Scan) -> None:
    blind = " ".join(scan_verdict(scanned).blind)
    assert all(word in blind for word in ("Dormant", "Text-side", "Semantic", "none of the classes"))


def test_no_probability_is_certain() -> None:
    assert [percent(value) for value in (0.0, 0.0004, 0.5, 0.9995, 1.0)] == [
        "less than 0.1 %", "less than 0.1 %", "50.0 %", "more than 99.9 %", "more than 99.9 %",
    ]  # fmt: skip
