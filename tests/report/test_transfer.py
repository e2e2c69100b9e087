from __future__ import annotations

from tbar_ray.report.transfer import transfer
from tests.records.records import failed, grid, moved, record
from tests.report.reading import rows_of


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


def test_no_section_where_a_campaign_has_nothing_for_it() -> None:
    assert transfer([]) == transfer([*grid(), failed(size=3)]) == ""
