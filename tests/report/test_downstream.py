from __future__ import annotations

from tbar_ray.report.downstream import downstream
from tests.records.records import failed, grid, record, scores
from tests.report.reading import rows_of


def test_a_row_per_trial_and_a_column_per_change_with_what_came_back_in_bold() -> None:
    changes = {"wise-ft": scores(0.85, 0.6, 0.3), "int8": scores(0.8, 0.02, 0.7)}
    some = record(method="b", removed=scores(0.8, 0.3, 0.5), downstream={"wise-ft": scores(0.85, 0.6, 0.3)})
    first, second = rows_of(
        downstream([record(method="a", removed=scores(0.8, 0.02, 0.7), downstream=changes), some, record("sig")])
    )
    assert list(first) == ["attack", "model", "method", "unchanged", "int8", "wise-ft"], "as changes are listed"
    assert first["unchanged"] == "80.0 / 2.0 / 70.0"
    assert first["int8"] == "80.0 / 2.0 / 70.0"
    assert first["wise-ft"] == "**85.0 / 60.0 / 30.0**"
    assert (first["method"], second["method"]) == ("a", "b")
    assert second["int8"] == "–"
    assert second["wise-ft"] == "85.0 / 60.0 / 30.0", "it was not removed before either"


def test_the_infected_and_the_clean_model_are_rows_of_their_own_once_for_all_methods() -> None:
    references = {"clean": {"int8": scores(0.91, 0.0, 0.85)}, "infected": {"int8": scores(0.9, 0.95, 0.02)}}
    made = [
        record(attack, method=method, downstream={"int8": scores(0.8, 0.02, 0.7)}, downstream_references=references)
        for attack in ("badnets", "sig") for method in ("a", "b")
    ]  # fmt: skip
    rows = rows_of(downstream(made))
    assert [(row["attack"], row["model"], row["method"]) for row in rows] == [
        (attack, *model)
        for attack in ("badnets", "sig")
        for model in (("infected", "–"), ("clean", "–"), ("after removal", "a"), ("after removal", "b"))
    ]
    assert rows[0]["int8"] == "90.0 / 95.0 / 2.0"
    assert rows[0]["unchanged"].split(" / ")[1] == f"{made[0].value('asr', 'infected'):.1%}"[:-1]


def test_no_section_where_a_campaign_has_nothing_for_it() -> None:
    assert downstream([]) == downstream([*grid(), failed(size=3)]) == ""
