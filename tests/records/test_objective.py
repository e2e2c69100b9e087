"""What a sampler is told of a trial."""

from __future__ import annotations

import pytest

from tbar_ray.evaluation.selection import penalised_asr
from tbar_ray.records.objective import objective_values
from tbar_ray.records.scores import PointRecord
from tests.records.records import failed, gated, infeasible, record, scores

PATH = tuple(
    PointRecord(alpha=alpha, scores=scores(ca, asr, 0.5), ca_retention=ca / 0.8)
    for alpha, ca, asr in ((0.0, 0.8, 0.99), (0.5, 0.79, 0.2), (1.0, 0.4, 0.0))
)
COMPARED = gated(0.99, ca=0.8, clean_ca=0.9).model_copy(update={"max_ca_drop": 0.05})


def test_a_sampler_is_told_the_validation_scores_of_the_selected_alpha() -> None:
    made = record(path=PATH, alpha=0.5, reference_ca=0.8, gate=COMPARED)
    point = PATH[1]
    assert objective_values(made, 0.95) == {
        "infected_asr": pytest.approx(0.05 - 0.1), "infected_ca_missing": pytest.approx(0.1 - 0.05),
        "penalised_asr": point.asr, "ca_missing": pytest.approx(0.95 - point.ca / 0.8), "ca": point.ca,
        "asr": point.asr, "pa": point.pa,
    }  # fmt: skip


def test_where_no_alpha_keeps_ca_a_sampler_is_told_of_the_one_that_keeps_most() -> None:
    told = objective_values(infeasible(path=PATH[1:], reference_ca=0.8), 1.0)
    best = PATH[1]
    assert told["ca"] == best.ca
    assert told["ca_missing"] == pytest.approx(1 - best.ca / 0.8)
    assert told["penalised_asr"] == penalised_asr(best.ca, best.asr, 0.8, 1.0) > 1


def test_an_attackers_search_is_told_of_an_attack_that_did_not_take() -> None:
    weak, broken = gated(0.31), gated(0.99, ca=0.7)
    assert not weak.passed
    told = [objective_values(failed(gate=gate), 0.95) for gate in (weak, broken, gated(0.9, clean_ca=None))]
    assert [one["infected_asr"] for one in told] == [0.31, pytest.approx(0.02 - 0.16), 0.9]
    assert [one["infected_ca_missing"] for one in told] == pytest.approx([0.01 - 0.02, 0.16 - 0.02, -0.02])
    assert all(len(one) == 2 for one in told)
    assert objective_values(failed(), 0.95) == {}
    assert objective_values(record(gate=gated(0.9)), 0.95).keys() > {"infected_asr", "penalised_asr"}
