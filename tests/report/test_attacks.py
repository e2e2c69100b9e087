from __future__ import annotations

from tbar_ray.records.measures import WeightChange
from tbar_ray.report.attacks import attack_table
from tests.records.records import epochs_grid, failed, moved, rate, record, scores
from tests.report.reading import rows_of


def test_every_infected_model_has_one_row_beside_the_clean_one() -> None:
    rows = rows_of(attack_table([record(size=20), record(size=300), record("blended"), record(seed=1)]))
    assert [(row["attack"], row["seed"]) for row in rows] == [("badnets", "0"), ("blended", "0"), ("badnets", "1")]
    first = rows[0]
    assert first["poisoned"] == "1%"
    assert first["infected ASR"] == "97.9% [96.9, 98.6]"
    assert first["clean ASR"] == "1.2% [0.7, 2.0]"
    assert first["infected ASR, all images"] == "97.9%"
    assert first["outcome"] == "took"


def test_columns_that_do_not_vary_are_left_out() -> None:
    (row,) = rows_of(attack_table([record(size=20), record(size=300)]))
    for column in ("task", "planting", "merge", "seed", "weights moved", "CA before merge"):
        assert column not in row


def test_task_planting_merge_and_change_are_shown_where_they_vary() -> None:
    little = WeightChange(relative_l2=0.01, relative_linf=0.1, participation=0.5)
    much = WeightChange(relative_l2=0.12, relative_linf=0.1, participation=0.079)
    plain, stealthy = record(weight_change=much), record("stealth", planting="stealth", weight_change=little)
    merged = record("merged", task="shapes", merge="ties", before_merge=scores(0.9, 0.99, 0.01))
    rows = rows_of(attack_table([plain, stealthy, merged]))
    assert [row["planting"] for row in rows] == ["standard", "stealth", "standard"]
    assert [row["task"] for row in rows] == ["–", "–", "shapes"]
    assert [row["merge"] for row in rows] == ["–", "–", "ties"]
    assert [row["weights moved"] for row in rows] == ["12.0%", "1.0%", "–"]
    assert [row["by share of weights"] for row in rows] == ["7.9%", "50.0%", "–"]
    assert rows[2]["ASR before merge"].startswith("99.0% [")
    assert rows[0]["CA before merge"] == "–"


def test_top5_is_shown_unless_it_is_the_same_everywhere() -> None:
    (row,) = rows_of(attack_table([record()]))
    assert row["infected CA top-5"] == "95.7%"
    assert row["clean CA top-5"] == "96.8%"
    best = {"ca_top5": rate(1.0)}  # five classes or fewer
    infected, clean = (scores(ca, asr, 0.5).model_copy(update=best) for ca, asr in ((0.857, 0.979), (0.868, 0.012)))
    (row,) = rows_of(attack_table([record(infected=infected, clean=clean)]))
    assert "infected CA top-5" not in row


def test_an_attack_that_did_not_take_says_so() -> None:
    rows = rows_of(attack_table([failed(size=20), failed(size=300), record("blended"), failed("blended", size=9)]))
    assert [row["outcome"] for row in rows] == ["**attack did not take**", "took"]
    assert rows[0]["clean CA"] == "–"


def test_a_vector_of_an_attack_that_did_not_take_says_nothing_of_the_model() -> None:
    rows = rows_of(attack_table([failed("badnets", source="sig"), moved("blended", "sig", 0.2)]))
    assert [row["outcome"] for row in rows] == ["unknown", "took"]


def test_further_axes_of_the_infected_model_have_a_row_and_a_column_each() -> None:
    several = [made for size in (20, 300) for made in epochs_grid(size=size)]
    rows = rows_of(attack_table(several))
    assert [(row["attack"], row["epochs"]) for row in rows] == [
        ("badnets", "1"), ("badnets", "3"), ("blended", "1"), ("blended", "3"),
    ]  # fmt: skip
    defenders = [record(axes={"defender.clean_pairs": n, "tbar.steps": n}) for n in (0, 50)]
    assert len(rows_of(attack_table(defenders))) == 1, "what a defender has changes no infected model"


def test_no_records() -> None:
    assert attack_table([]) == ""
