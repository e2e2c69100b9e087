from __future__ import annotations

from tbar_ray.planning.axes import Factor, factors_of
from tbar_ray.records.record import TrialRecord
from tbar_ray.report.effects import effect_sentences
from tests.records.records import epochs_grid, failed, record, scores


def factor(name: str) -> Factor:
    return factors_of([name])[name]


def at(asr: float, **settings: object) -> TrialRecord:
    """A trial with a test ASR."""
    return record(removed=scores(0.8, asr, 0.5, n=1020), **settings)  # type: ignore[arg-type]


def test_effects_follow_the_data() -> None:
    text = " ".join(effect_sentences([at(0.5, size=20), at(0.1, size=40)], factor("forget_size")))
    assert "Mean test ASR: 50.0% at 20 (1 trial); 10.0% at 40 (1 trial)." in text
    assert "From 20 to 40, all else equal, test ASR changes by -40.0 points" in text
    assert "falls in 1" in text
    assert "do not overlap in 1 of them" in text
    swapped = " ".join(effect_sentences([at(0.5, size=90), at(0.1, size=40)], factor("forget_size")))
    assert "From 40 to 90, all else equal, test ASR changes by +40.0 points" in swapped


def test_an_attacks_own_effect_is_the_mean_over_its_matched_pairs() -> None:
    made = [at(0.5, size=20, seed=0), at(0.1, size=40, seed=0), at(0.5, size=20, seed=1), at(0.3, size=40, seed=1)]
    other = [at(asr, attack="blended", size=size) for size, asr in ((20, 0.6), (40, 0.5))]
    sentences = effect_sentences([*made, *other], factor("forget_size"))
    assert "For badnets alone: ASR -30.0 points, CA +0.0 points (2 matched pairs)." in sentences
    assert "For blended alone: ASR -10.0 points, CA +0.0 points (1 matched pair)." in sentences


def test_effects_of_an_axis_without_a_short_name() -> None:
    sentences = effect_sentences(epochs_grid((1, 2, 10)), factor("model.training.epochs"))
    text = " ".join(sentences)
    assert "Mean test ASR: 10.0% at 1 (2 trials, 10.0% to 10.0%); 5.0% at 2" in text
    assert "From 1 to 10, all else equal, test ASR changes by -9.0 points on average over 2 matched pairs" in text
    assert "For blended alone: ASR -9.0 points, CA +0.0 points (1 matched pair)." in sentences
    assert "in points over matched pairs: 1 → 2 -5.0; 2 → 10 -4.0." in text


def test_names_are_compared_each_with_the_first() -> None:
    axis = "tbar.objective"
    made = [at(asr, axes={axis: name}) for name, asr in (("contrastive", 0.5), ("classification", 0.2), ("both", 0.1))]
    sentences = effect_sentences(made, factor(axis))
    changes = [line.split(" points")[0] for line in sentences if line.startswith("From") and "ASR" in line]
    assert changes == [
        "From contrastive to classification, all else equal, test ASR changes by -30.0",
        "From contrastive to both, all else equal, test ASR changes by -40.0",
    ]
    assert not any("Step by step" in line for line in sentences)


def test_trials_of_other_methods_have_no_part_in_a_parameters_effect() -> None:
    made = [at(asr, axes={"tbar.steps": steps}) for steps, asr in ((5, 0.5), (9, 0.1))]
    sentences = effect_sentences([*made, at(0.9, method="finetune")], factor("tbar.steps"))
    assert sentences[0] == "Mean test ASR: 50.0% at 5 (1 trial); 10.0% at 9 (1 trial)."


def test_effects_without_a_comparison() -> None:
    assert effect_sentences([failed()], factor("forget_size")) == ["No feasible trial has test scores."]
    assert "nothing to compare" in effect_sentences([record(), record(seed=1)], factor("clean_fraction"))[0]
    unmatched = effect_sentences([record(size=20, fraction=0.5), record(size=30)], factor("forget_size"))
    assert "No two feasible trials differ in this factor alone" in unmatched[-1]
