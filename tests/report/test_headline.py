from __future__ import annotations

from tbar_ray.report.headline import headline, sentences
from tests.records.records import failed, infeasible, record, scores


def test_one_attack_is_told_with_the_scores_of_its_best_trial() -> None:
    worse = record(size=20, alphas=(0.0, 0.1))
    best = record(removed=scores(0.857, 0.0, 0.8))
    assert headline([worse, best], 0.05) == (
        "The best trial brings the ASR of badnets from 97.9% to 0.0% and keeps 100.0% of clean accuracy"
    )


def test_several_attacks_have_ranges() -> None:
    trials = [record(name, removed=scores(0.857, asr, 0.8)) for name, asr in (("badnets", 0.1), ("sig", 0.2))]
    assert "The best trials bring the ASR of 2 attacks from 97.9% to 10.0–20.0% and keep" in headline(trials, None)
    assert "Ranges are over attacks." in sentences(trials)[0]


def test_where_methods_are_compared_the_best_of_them_is_named() -> None:
    trials = [
        record(attack, method=method, alphas=(0.0, alpha))
        for attack in ("badnets", "blended")
        for method, alpha in (("weak", 0.2), ("strong", 0.5))
    ]
    assert headline(trials, None).startswith(
        "strong (of 2 methods the best on 2 of 2 attacks) brings the ASR of 2 attacks"
    )


def test_without_a_result_it_says_why() -> None:
    assert headline([], None) == "No trial has ended yet"
    assert headline([failed(), infeasible()], None) == "No trial of 2 has a result: 1 failed, 1 infeasible"
    assert sentences([failed()]) == []
    assert sentences([record(), failed()])[1] == "Of 2 trials, 1 failed."
