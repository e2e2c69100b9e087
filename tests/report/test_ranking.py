from __future__ import annotations

from tbar_ray.report.ranking import best_per_method, rank, ranked_methods, validation_scores
from tests.records.records import failed, infeasible, record


def test_removal_counts_before_ca_and_kept_ca_before_removal() -> None:
    removed, weak = record(method="strong"), record(method="weak", alphas=(0.0, 0.2))
    lost = infeasible(method="harmful", alpha=0.5)
    trials = [failed(method="broken"), lost, weak, removed]
    assert ranked_methods(trials, 0.5) == ["strong", "weak", "harmful", "broken"]
    assert rank([removed], 0.5)[0] == 0
    assert rank([removed], None)[0] == 1, "without a highest ASR the least one counts"


def test_of_a_search_the_best_of_a_method_is_kept_for_each_seed() -> None:
    tried = [record(alphas=(0.0, alpha), seed=seed) for alpha in (0.1, 0.5) for seed in (0, 1)]
    assert [(made.alpha, made.seed) for made in best_per_method(tried, None)] == [(0.5, 0), (0.5, 1)]


def test_scores_are_those_of_validation() -> None:
    made = record()
    point = made.selected_point
    assert point is not None
    assert validation_scores(made) == (point.ca, point.asr)
    assert validation_scores(failed()) is None
