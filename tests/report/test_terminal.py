from __future__ import annotations

import io

import pytest
from rich.console import Console

from tbar_ray.report.terminal import result_table
from tests.records.records import NAMES, Record, failed, grid, infeasible, matrix, moved, record


def shown(records: list[Record], width: int = 100) -> str:
    out = io.StringIO()
    Console(file=out, width=width).print(result_table(records))
    return out.getvalue()


def bold_rows(records: list[Record]) -> list[int]:
    return [i for i, row in enumerate(result_table(records).rows) if row.style == "bold"]


def lines_of(records: list[Record], name: str, width: int = 120) -> list[str]:
    """The rows that mention a name, with single spaces."""
    return [" ".join(line.split()) for line in shown(records, width).splitlines() if name in line and "→" in line]


def test_scores_beside_the_infected_model_and_the_clean_models_asr() -> None:
    text = shown(grid())
    assert lines_of(grid(), "badnets")[0] == "badnets 20 0% 0.5 85.7 → 82.2 97.9 → 14.8 (1.2) 2.0 → 70.4 96%"
    assert "infected → after removal (clean model); target red square" in text


def test_best_feasible_row_of_each_attack_is_bold() -> None:
    records = grid()
    assert bold_rows(records) == [3, 7]
    records[3] = infeasible("badnets", 300, 0.5)
    assert bold_rows(records) == [2, 7]


def test_reasons_are_shown_once() -> None:
    text = " ".join(shown([failed(), failed(size=20), infeasible(size=7), record(size=5)]).split())
    assert text.count("failed: attack did not take") == 1
    assert text.count("[1]") == 3
    assert "[2] infeasible: no α retains 95%" in text


def test_what_all_trials_share_is_said_once_and_what_varies_has_a_column() -> None:
    text = shown([record(), record("blended", target="blue circle")])
    assert "forget 100; clean 0%" in text
    assert "target" in text.splitlines()[2]
    assert "forget" not in text.splitlines()[2]
    assert lines_of([record(), record("blended", target="blue circle")], "blended")[0].startswith("blended blue circle")


def test_whose_vector_was_applied_is_shown_where_any_was_moved() -> None:
    records = [moved("badnets", "badnets", 0.1), moved("badnets", "label-consistent", 0.2)]
    assert lines_of(records, "badnets")[0].startswith("badnets own 0.6")
    assert lines_of(records, "label-consistent")[0].startswith("badnets label-consistent 0.6")
    assert "source" not in shown([record(), record("sig")])


def test_plantings_are_shown_where_they_vary() -> None:
    records = [record(), record("careful", planting="negation-robust")]
    assert lines_of(records, "careful")[0].startswith("careful negation-robust")
    assert lines_of(records, "badnets")[0].startswith("badnets – ")


def test_poisoning_rates_that_attacks_bring_have_no_column() -> None:
    own = {**record("sig"), "poisoning_rate": 0.1}
    assert "poison" not in shown([record(), own])
    assert "poison" in shown([record(), own, {**own, "poisoning_rate": 0.2}])


def test_a_matrix_of_many_attacks_names_all_of_them() -> None:
    text = shown(matrix())
    assert max(map(len, text.splitlines())) <= 100
    assert "…" not in text
    assert all(name in text for name in NAMES)
    assert lines_of(matrix(), "ftrojan") == ["ftrojan – [1] 85.7 → – 97.9 → – 2.0 → – –"]
    assert "[1] failed: attack did not take: ASR 31.0%" in text
    styles = {
        row.style for row, made in zip(result_table(matrix()).rows, matrix(), strict=True) if made["status"] == "failed"
    }
    assert styles == {"red"}


def test_long_names_lose_their_middle_and_stay_different() -> None:
    records = [{**record(name), "method": m, "seed": s} for name in NAMES for s, m in enumerate(("tbar", "finetuning"))]
    moved_too = {**moved("badnets-gaussian-wrapped", "label-consistent", 0.1), "seed": 2, "learning_rate": 1.25e-5}
    records += [moved_too, record(size=3000, fraction=0.5, planting="negation-robust")]
    text = shown(records, 120)
    assert max(map(len, text.splitlines())) <= 120
    rows = [line for line in text.splitlines() if "(1.2)" in line]
    assert len(rows) == len(records)
    assert all(line.rstrip().endswith("%") for line in rows)  # no number is cut
    assert len({line.split()[0] for line in rows}) >= 22
    assert "bad…ped" in text or "badn…pped" in text


@pytest.mark.parametrize("extra", [{}, {"learning_rate": 1.2345e-05, "poisoning_rate": 0.0123}])
def test_fits_a_hundred_columns_unclipped(extra: Record) -> None:
    records = [*grid(), record(seed=1, **extra), record(method="finetune"), failed()]
    text = shown(records)
    assert max(map(len, text.splitlines())) <= 100
    assert "…" not in text


def test_no_records() -> None:
    assert "No trial has ended yet." in shown([])
