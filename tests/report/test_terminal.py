from __future__ import annotations

import io
from itertools import product
from typing import Any

import pytest
from rich.console import Console

from tbar_ray.records.record import TrialRecord
from tbar_ray.report.terminal import result_table
from tests.records.records import NAMES, epochs_grid, failed, grid, infeasible, masked, matrix, moved, record


def shown(records: list[TrialRecord], width: int = 100, marked: bool = False) -> str:
    out = io.StringIO()
    Console(file=out, width=width).print(result_table(records, marked))
    return out.getvalue()


def bold_rows(records: list[TrialRecord]) -> list[int]:
    return [i for i, row in enumerate(result_table(records).rows) if row.style == "bold"]


def lines_of(records: list[TrialRecord], name: str, width: int = 120) -> list[str]:
    """The rows that mention a name, with single spaces."""
    return [" ".join(line.split()) for line in shown(records, width).splitlines() if name in line and "→" in line]


def test_scores_beside_the_infected_model_and_the_clean_models_asr() -> None:
    text = shown(grid())
    assert lines_of(grid(), "badnets")[0] == "badnets 20 0% 0.5 85.7 → 82.2 97.9 → 14.8 (1.2) 2.0 → 70.4 96%"
    assert "infected → after removal (clean model); target red square" in text


def test_what_statistics_mask_has_columns_where_models_have_any() -> None:
    assert "masked" not in shown(grid())
    records = [masked(), record("blended")]
    text = shown(records)
    assert "as applied: CA/ASR with the BatchNorm statistics that the edit leaves; masked: ASR that these hide." in text
    first, second = (lines_of(records, name)[0] for name in ("badnets", "blended"))
    asr = round((records[0].value("asr") or 0) * 100 - 1.0, 1)
    assert first.endswith(f" 70.0/1.0 {asr:+.1f}")
    assert second.endswith(" – –")


def test_best_feasible_row_of_each_attack_is_bold() -> None:
    records = grid()
    assert bold_rows(records) == [3, 7]
    records[3] = infeasible("badnets", 300, 0.5)
    assert bold_rows(records) == [2, 7]


def test_best_feasible_row_of_each_attack_is_starred_where_nothing_is_bold() -> None:
    text = shown(grid(), marked=True)
    starred = [line.split()[:4] for line in text.splitlines() if "→" in line and "*" in line]
    assert starred == [["badnets", "300", "50%", "1*"], ["blended", "300", "50%", "1*"]]
    assert "*: the best of each attack on validation" in text
    assert "bold" not in text
    assert "*" not in shown(grid())


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
    own = record("sig", poisoning_rate=0.1)
    assert "poison" not in shown([record(), own])
    assert "poison" in shown([record(), own, record("sig", poisoning_rate=0.2)])


def test_a_matrix_of_many_attacks_names_all_of_them() -> None:
    text = shown(matrix())
    assert max(map(len, text.splitlines())) <= 100
    assert "…" not in text
    assert all(name in text for name in NAMES)
    assert lines_of(matrix(), "ftrojan") == ["ftrojan – [1] 85.7 → – 97.9 → – 2.0 → – –"]
    assert "[1] failed: attack did not take: validation ASR 31.0%" in text
    styles = {
        row.style for row, made in zip(result_table(matrix()).rows, matrix(), strict=True) if made.status == "failed"
    }
    assert styles == {"red"}


def test_long_names_lose_their_middle_and_stay_different() -> None:
    records = [record(name, method=m, seed=s) for name in NAMES for s, m in enumerate(("tbar", "finetuning"))]
    axes = {"learning_rate": 1.25e-5}
    moved_too = moved("badnets-gaussian-wrapped", "label-consistent", 0.1, seed=2, axes=axes)
    records += [moved_too, record(size=3000, fraction=0.5, planting="negation-robust")]
    text = shown(records, 120)
    assert max(map(len, text.splitlines())) <= 120
    rows = [line for line in text.splitlines() if "(1.2)" in line]
    assert len(rows) == len(records)
    assert all(line.rstrip().endswith("%") for line in rows)  # no number is cut
    assert len({line.split()[0] for line in rows}) >= 22
    assert "bad…ped" in text or "badn…pped" in text


@pytest.mark.parametrize("extra", [{}, {"axes": {"learning_rate": 1.2345e-05}, "poisoning_rate": 0.0123}])
def test_fits_a_hundred_columns_unclipped(extra: dict[str, Any]) -> None:
    records = [*grid(), record(seed=1, **extra), record(method="finetune"), failed()]
    text = shown(records)
    assert max(map(len, text.splitlines())) <= 100
    assert "…" not in text


def cells_of(records: list[TrialRecord], columns: int) -> list[tuple[str, ...]]:
    """The first cells of every row."""
    table = result_table(records)
    return [
        tuple(str(cell) for cell in cells)[:columns] for cells in zip(*(c.cells for c in table.columns), strict=True)
    ]


def heads_of(records: list[TrialRecord]) -> list[str]:
    return [str(column.header) for column in result_table(records).columns]


def test_an_axis_without_a_short_name_has_a_column() -> None:
    assert heads_of(epochs_grid())[:3] == ["attack", "epochs", "α"]
    assert cells_of(epochs_grid(), 2) == [("badnets", "1"), ("badnets", "3"), ("blended", "1"), ("blended", "3")]


def test_a_grid_over_parameters_of_one_method_ends_with_rows_that_tell_apart() -> None:
    values = list(product((5, 20), ("classification", "contrastive"), (1e-5, 2e-5)))
    names = ("tbar.steps", "tbar.objective", "tbar.learning_rate")
    records = [record(axes=dict(zip(names, one, strict=True))) for one in values]
    assert heads_of(records)[:5] == ["attack", "steps", "objective", "lr", "α"]
    text = shown(records)
    rows = [line for line in text.splitlines() if "badnets" in line]
    assert len({tuple(line.split()[:4]) for line in rows}) == len(rows) == 8
    assert lines_of(records, "contrastive", 100)[0].startswith("badnets 5 contrastive 1e-05 0.6")
    assert max(map(len, text.splitlines())) <= 100


def test_parameters_of_several_methods_share_a_column_of_the_trials_own() -> None:
    axes: list[tuple[str, dict[str, Any]]] = [
        ("tbar", {"tbar.steps": 20, "learning_rate": 2e-5}),
        ("finetune", {"finetune.epochs": 3, "learning_rate": 1e-4}),
        ("plain", {}),
    ]
    records = [record(method=method, axes=own) for method, own in axes]
    assert heads_of(records)[:4] == ["attack", "method", "parameters", "α"]
    assert [cells[2] for cells in cells_of(records, 3)] == ["lr 2e-05, steps 20", "lr 0.0001, epochs 3", "–"]


def test_long_parameters_take_several_lines_and_lose_nothing() -> None:
    own = {f"tbar.{name}": n for n, name in enumerate(("first_parameter", "second_parameter", "third_parameter"))}
    records = [record(axes=own), record(method="finetune", axes={"finetune.steps": 9, "learning_rate": 0.5})]
    text = shown(records)
    assert max(map(len, text.splitlines())) <= 100
    lines = text.splitlines()
    start = lines[2].index("parameters")
    words = " ".join(" ".join(line[start : start + 27] for line in lines[4:7]).split())
    assert words == "first parameter 0, second parameter 1, third parameter 2"


def test_names_of_users_are_no_markup() -> None:
    records = [record("[red]a[/red]", axes={"attacks.[b].x": n}, target="[bold]b") for n in (1, 2)]
    text = shown(records)
    assert "[red]a[/red]" in text
    assert "target [bold]b" in text
    head = shown([record(axes={"tbar.[red]": n}) for n in (1, 2)]).splitlines()[2]
    assert "[red]" in head


def test_no_records() -> None:
    assert "No trial has ended yet." in shown([])
