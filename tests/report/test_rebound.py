from __future__ import annotations

from typing import Any

from tbar_ray.records.rebound import ReboundRecord
from tbar_ray.records.record import TrialRecord
from tbar_ray.report.rebound import rebound
from tbar_ray.report.rebound_rows import COLUMNS, followed_of, rows_of
from tests.records.records import curve_of, failed, grid, infeasible, rebounding, record
from tests.report.reading import rows_of as cells_of

RETURNS = rebounding(curve_of(0.0, 0.3, 0.6, 0.4, reestimated=0.2))
STAYS = rebounding(curve_of(0.02, 0.02, 0.02, 0.02))
BROKEN = rebounding(curve_of(0.5, 0.5, 0.5, 0.5))


def followed(*rebounds: ReboundRecord, **changes: Any) -> TrialRecord:
    return record(**changes, rebounds=rebounds)


def tables(records: list[TrialRecord]) -> list[list[dict[str, str]]]:
    """The rows of each table of the section."""
    parts = rebound(records).split("\n\n")
    return [cells_of(part) for part in parts if part.startswith("|")]


def test_references_come_once_and_then_the_trials_on_their_model() -> None:
    records = [followed(RETURNS, method="a"), followed(STAYS, method="b"), followed(STAYS, attack="blended")]
    merit, along = tables(records)
    assert [(row["attack"], row["model"], row["method"]) for row in merit] == [
        ("badnets", "infected", "–"), ("badnets", "clean", "–"),
        ("badnets", "after removal", "a"), ("badnets", "after removal", "b"),
        ("blended", "infected", "–"), ("blended", "clean", "–"), ("blended", "after removal", "tbar"),
    ]  # fmt: skip
    assert [list(row.values())[:3] for row in along] == [list(row.values())[:3] for row in merit]


def test_figures_of_merit_have_columns_and_what_came_back_is_bold() -> None:
    merit, _ = tables([followed(RETURNS, method="a"), followed(STAYS, method="b"), followed(BROKEN, method="c")])
    back, stays, broken = (row for row in merit if row["model"] == "after removal")
    assert [back[name] for name in ("A_0", "0′", "A_post", "ΔR", "AURC", "T_.5")] == [
        "**0.0%**", "**20.0%**", "**60.0%**", "**+60.0**", "**36.7%**", "**20**",
    ]  # fmt: skip
    assert [stays[name] for name in ("0′", "A_post", "ΔR", "T_.5")] == ["–", "2.0%", "+0.0", "–"]
    assert (broken["A_0"], broken["T_.5"]) == ("50.0%", "0"), "never removed: nothing came back"
    assert (back["CA"], back["CA at the end"]) == ("80.0%", "82.0%")


def test_every_step_has_a_column_and_step_0_another_for_statistics() -> None:
    _, along = tables([followed(RETURNS, method="a"), followed(STAYS, method="b")])
    (back,) = (row for row in along if row["method"] == "a")
    assert list(back) == ["attack", "model", "method", "0", "0′", "10", "20", "30"]
    assert back["0"] == "80.0 / 0.0 / 80.0"
    assert back["0′"].startswith("80.0 / 20.0 / ")
    assert back["20"].split(" / ")[1] == "60.0"
    assert {row["0′"] for row in along if row["method"] != "a"} == {"–"}


def test_a_sweep_has_a_table_of_its_own() -> None:
    faster = rebounding(curve_of(0.0, 0.9, 0.9, 0.9), rate=3e-4)
    _, _, rates = tables([followed(RETURNS, faster)])
    _, clean, removed = rates
    assert list(removed)[-2:] == ["0.0001", "0.0003"]
    assert (removed["0.0001"], removed["0.0003"]) == ("60.0% / +2.0", "90.0% / +2.0")
    assert clean["0.0003"].endswith(" / -2.0")
    assert len(tables([followed(RETURNS)])) == 2


def test_a_trial_without_a_cleaned_model_leaves_the_references() -> None:
    merit, _ = tables([infeasible(rebounds=(rebounding(None),))])
    assert [row["model"] for row in merit] == ["infected", "clean"]


def test_seeds_are_other_infected_models() -> None:
    models = followed_of([followed(RETURNS, seed=seed) for seed in (0, 1)])
    assert [(model.role, model.record.seed) for model in models] == [
        ("infected", 0), ("clean", 0), ("removed", 0), ("infected", 1), ("clean", 1), ("removed", 1),
    ]  # fmt: skip


def test_no_section_where_a_campaign_has_nothing_for_it() -> None:
    assert rebound([]) == rebound([*grid(), failed(size=3)]) == ""


def test_rows_have_every_model_rate_and_step_and_no_setting_that_says_nothing_of_them() -> None:
    rows = list(rows_of([followed(RETURNS, STAYS.model_copy(update={"learning_rate": 3e-4}), method="a")]))
    infected, clean, removed = (
        [row for row in rows if row["model"] == name] for name in ("infected", "clean", "removed")
    )
    assert (len(infected), len(clean), len(removed)) == (8, 8, 9)
    assert [(row["step"], row["statistics"]) for row in removed[:3]] == [(0, None), (0, "reestimated"), (10, None)]
    assert {row["learning_rate"] for row in removed} == {1e-4, 3e-4}
    assert (removed[3]["asr"], removed[3]["asr_n"]) == (0.6, 1180)
    assert "method" in removed[0]
    assert "method" not in infected[0]
    assert "fingerprint" not in clean[0]
    assert set(COLUMNS) <= set(removed[0])
