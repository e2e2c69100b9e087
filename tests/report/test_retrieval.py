from __future__ import annotations

from tbar_ray.report.retrieval import retrieval
from tests.records.records import failed, grid, infeasible, record, retrieved
from tests.report.reading import rows_of


def test_retrieval_of_clean_and_infected_models_precedes_that_after_removal() -> None:
    models = {"clean": retrieved(0.7), "infected": retrieved(0.6)}
    every = {**models, "removed": retrieved(0.5)}
    records = [record(retrieval=every), record(size=300, retrieval=every), infeasible("sig", retrieval=models)]
    rows = rows_of(retrieval(records))
    assert [(row["attack"], row["model"]) for row in rows] == [
        ("badnets", "clean"), ("badnets", "infected"), ("badnets", "after removal"), ("badnets", "after removal"),
        ("sig", "clean"), ("sig", "infected"), ("sig", "after removal"),
    ]  # fmt: skip
    assert [row["forget set"] for row in rows[:4]] == ["", "", "100", "300"]
    assert rows[0]["image → text R@1"] == "70.0%"
    assert rows[1]["image → text R@5"] == "70.0%"
    assert rows[2]["text → image R@10"] == "70.0%"
    assert rows[1]["caption-ASR"] == "6.0% [4.7, 7.6]"
    assert rows[6]["caption-ASR"] == "–"


def test_retrieval_of_an_infected_model_names_what_made_it() -> None:
    every = {"clean": retrieved(0.7), "infected": retrieved(0.6), "removed": retrieved(0.5)}
    made = [record(axes={"model.training.epochs": e, "tbar.steps": s}, retrieval=every) for e in (1, 3) for s in (5, 9)]
    rows = rows_of(retrieval(made))
    assert [(row["model"], row["epochs"], row["steps"]) for row in rows] == [
        ("clean", "1", ""), ("infected", "1", ""), ("after removal", "1", "5"), ("after removal", "1", "9"),
        ("clean", "3", ""), ("infected", "3", ""), ("after removal", "3", "5"), ("after removal", "3", "9"),
    ]  # fmt: skip


def test_no_section_where_a_campaign_has_nothing_for_it() -> None:
    assert retrieval([]) == retrieval([*grid(), failed(size=3)]) == ""
