from __future__ import annotations

from tbar_ray.records.record import OtherBackdoor
from tbar_ray.report.backdoors import other_backdoors
from tbar_ray.report.disentanglement_table import disentanglement
from tbar_ray.report.retrieval import retrieval
from tbar_ray.report.transfer import transfer
from tests.records.records import error_map, failed, grid, infeasible, moved, record, retrieved
from tests.report.reading import rows_of


def test_sections_are_empty_where_a_campaign_has_nothing_for_them() -> None:
    for part in (retrieval, disentanglement, transfer, other_backdoors):
        for records in ([], [*grid(), failed(size=3)]):
            assert part(records) == ""


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


def kept(ca: float) -> str:
    before = record().value("ca", "infected")
    assert before is not None
    return f"{ca / before:.1%}"


def test_transfer_is_a_matrix_with_the_own_vector_in_bold() -> None:
    records = [moved("a", "a", 0.01), moved("a", "b", 0.6, ca=0.4), moved("b", "a", 0.3), failed("b", size=100)]
    rows = rows_of(transfer(records))
    assert [row["model"] for row in rows] == ["**a**", "**b**"]
    assert rows[0]["vector of a"] == f"**1.0% / {kept(0.8)}**"
    assert rows[0]["vector of b"] == f"60.0% / {kept(0.4)}"
    assert rows[1]["vector of b"] == "**failed**"
    assert rows[0]["ASR before"] == "97.9%"
    assert rows[0]["clean model's ASR"] == "1.2%"


def test_transfer_averages_seeds_and_keeps_other_factors_apart() -> None:
    seeds = [moved("a", "b", asr, seed=seed) for seed, asr in enumerate((0.2, 0.4))]
    (row,) = rows_of(transfer(seeds))
    assert row["vector of b"].startswith("30.0% / ")
    rows = rows_of(transfer([*seeds, moved("a", "b", 0.9, size=300)]))
    assert [(row["forget set"], row["vector of b"].split(" / ")[0]) for row in rows] == [
        ("100", "30.0%"),
        ("300", "90.0%"),
    ]


def test_the_error_map_is_summed_up_over_the_cells_that_are_known() -> None:
    maps = error_map(0.25).model_copy(update={"at_negated": 0.125, "alpha": 0.5})
    (row,) = rows_of(disentanglement([record(disentanglement=maps), record(size=300, disentanglement=maps)]))
    assert row["ξ(1, 1)"] == "0.500"
    assert row["ξ(1, −α)"] == "0.125"
    assert row["α"] == "0.5"
    # of 9 cells one is unknown; the four off the axes have 0.5 (three known), those on one axis 0.25, the origin 0
    assert row["mean ξ"] == f"{(3 * 0.5 + 4 * 0.25) / 8:.3f}"
    assert row["cells with ξ < 0.1"] == f"{1 / 8:.1%}"
    assert row["cells known"] == "8 of 9"


def test_a_negated_point_outside_the_grid_is_a_dash() -> None:
    (row,) = rows_of(disentanglement([record(disentanglement=error_map())]))
    assert row["ξ(1, −α)"] == "–"
    assert row["α"] == "2"


def test_other_backdoors_of_a_model_are_shown_before_and_after() -> None:
    others = {
        "blended": OtherBackdoor(asr_infected=0.97, asr=0.4),
        "sig": OtherBackdoor(asr_infected=0.9, asr=None),
    }
    first, second = rows_of(other_backdoors([record(others=others), record("alone", others={})]))
    assert (first["removed"], first["other backdoor"]) == ("badnets", "blended")
    assert (first["its ASR before"], first["clean model's ASR"]) == ("97.9%", "1.2%")
    assert first["its ASR after"].startswith("5.8% [")
    assert (first["ASR before"], first["ASR after"]) == ("97.0%", "40.0%")
    assert (second["other backdoor"], second["ASR after"]) == ("sig", "–")
