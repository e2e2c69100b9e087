"""How methods are compared: the table and the figure."""

from __future__ import annotations

from matplotlib.text import Text

from tbar_ray.records.measures import Cost
from tbar_ray.records.record import TrialRecord
from tbar_ray.report.figures.methods import methods_figure
from tbar_ray.report.methods import methods_table
from tests.records.records import failed, infeasible, masked, record
from tests.report.reading import rows_of


def cost(samples: int, seconds: float) -> Cost:
    return Cost(
        data=300, forget_images=300, clean_pairs=0, training_pairs=0, samples=samples, steps=20, seconds=seconds,
        peak_memory=50_000_000,
    )  # fmt: skip


def compared() -> list[TrialRecord]:
    """One attack, three methods of two seeds: one keeps CA, one does not, one failed."""
    return [
        *(record(seed=s, method="tbar", cost=cost(2560, 4.0 + s)) for s in (0, 1)),
        *(record(seed=s, method="weak", cost=cost(512, 1.0), alphas=(0.0, 0.1)) for s in (0, 1)),
        *(infeasible(seed=s, method="harmful", cost=cost(99, 2.0)) for s in (0, 1)),
        *(failed(seed=s, method="broken", reason="loss is nan at step 3; lower the learning rate") for s in (0, 1)),
    ]


def test_what_statistics_mask_has_a_column_where_models_have_any() -> None:
    assert "masked by statistics" not in rows_of(methods_table(compared(), 0.5))[0]
    text = methods_table([masked(method="tbar"), masked(method="weak", asr_as_applied=0.1)], 0.5)
    rows = rows_of(text)
    assert rows[0]["masked by statistics"] == "–"
    assert {row["masked by statistics"].strip("*") for row in rows[1:]} == {
        f"{(masked(asr_as_applied=asr).asr_masked or 0) * 100:+.1f}" for asr in (0.01, 0.1)
    }
    assert "stale statistics hide" in text


def test_the_table_has_the_best_in_bold_and_says_what_failed() -> None:
    text = methods_table(compared(), max_asr=0.5)
    rows = rows_of(text)
    assert [row["method"] for row in rows] == ["none (infected)", "**tbar**", "weak", "harmful\\*"]
    assert rows[1]["images"] == "**300**"
    assert rows[1]["seen"] == "**2,560**"
    assert rows[1]["memory"] == "**50 MB**"
    assert "[" in rows[1]["ASR"]
    assert "CA is not kept" in text
    assert "broken: 2 trials failed" in text


def test_one_method_needs_no_table() -> None:
    assert methods_table([record(seed=s) for s in (0, 1)], 0.5) == ""


def test_of_a_search_the_best_of_each_method_is_shown() -> None:
    tried = [
        record(method="tbar", axes={"learning_rate": rate}, alphas=alphas) for rate, alphas in ((1e-5, (0.0, 0.1)),)
    ]
    tried += [record(method="tbar", axes={"learning_rate": 1e-4}), record(method="weak", alphas=(0.0, 0.1))]
    rows = rows_of(methods_table(tried, 0.5))
    assert [row["method"] for row in rows] == ["none (infected)", "**tbar**", "weak"]


def test_the_figure_has_two_panels_for_each_attack() -> None:
    records = [record(attack, method=m) for attack in ("badnets", "blended") for m in ("tbar", "other")]
    records += [record("badnets", method="alone", alphas=(1.0,))]
    figure = methods_figure(records)
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in panels] == ["badnets", "", "blended", ""]
    said = " ".join(text.get_text() for text in methods_figure([]).findobj(Text))
    assert "No trial has a result" in said


def test_what_a_method_cost_stands_beside_what_it_left() -> None:
    cost = Cost(
        data=7000, forget_images=6, clean_pairs=5, training_pairs=4, samples=3, steps=2, seconds=15, peak_memory=9000000
    )
    rows = rows_of(methods_table([record(cost=cost), record(method="finetune")], None))
    tbar = next(row for row in rows if "tbar" in row["method"])
    shown = [tbar[name].strip("*") for name in ("images", "seen", "seconds", "memory", "CA", "α")]
    assert shown == ["7,000", "3", "15", "9 MB", "82.1% [79.8, 84.1]", "0.6"]
    assert next(row for row in rows if "finetune" in row["method"])["images"].strip("*") == "–"
    assert methods_table([record(), record(size=3)], None) == ""
