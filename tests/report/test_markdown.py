from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tbar_ray.records.measures import OtherBackdoor
from tbar_ray.records.record import TrialRecord
from tbar_ray.report.markdown import summary
from tbar_ray.spec.lasting import ReboundSpec
from tbar_ray.store.store import Store
from tests.records.records import (
    curve_of,
    epochs_grid,
    error_map,
    failed,
    grid,
    infeasible,
    moved,
    rebounding,
    record,
    retrieved,
    scores,
)
from tests.report.campaign import SPEC


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"))


def sections(records: list[TrialRecord], store: Store) -> list[str]:
    return [line[3:] for line in summary(SPEC, records, store, []).splitlines() if line.startswith("## ")]


USUAL = ["What was run", "Results on the test split", "Failed, infeasible and given-up trials", "Figures"]


def test_a_report_has_the_sections_that_its_campaign_fills(store: Store) -> None:
    assert sections([record()], store) == USUAL
    found = {"clean": retrieved(0.7), "infected": retrieved(0.6), "removed": retrieved(0.5)}
    others = {"sig": OtherBackdoor(asr_infected=0.9, asr=0.8)}
    everything = [
        record(
            disentanglement=error_map(), others=others, retrieval=found, rebounds=(rebounding(curve_of(0.0, 0.1)),),
            downstream={"int8": scores(0.8, 0.1, 0.7)},
        ),
        record(seed=1), record(size=20), record(fraction=0.5), moved("badnets", "sig", 0.2),
    ]  # fmt: skip
    assert sections(everything, store) == [
        *USUAL[:2], "Across seeds", "Paired tests", "What forget-set size does", "What mixing in clean data does",
        "Transfer", "Other backdoors of the same model", "Rebound under clean fine-tuning",
        "Downstream changes", "Weight disentanglement", "Retrieval", *USUAL[2:],
    ]  # fmt: skip


def test_every_axis_that_varies_has_a_section(store: Store) -> None:
    assert sections(epochs_grid(), store) == [*USUAL[:2], "What epochs does", *USUAL[2:]]
    text = summary(SPEC, epochs_grid(), store, [])
    assert "- From 1 to 3, all else equal, test ASR changes by -6.7 points" in text
    own = [record(axes={"tbar.steps": 5}), record(method="plain")]
    assert "What steps does" not in sections(own, store), "one value and trials of a method without it"
    rates = [record(), record("blended", poisoning_rate=0.2)]
    assert sections(rates, store) == USUAL, "attacks have rates of their own"


def test_summary_lists_reasons(store: Store) -> None:
    text = summary(SPEC, [*grid(), failed(size=50), infeasible(size=70)], store, ["alpha.png"])
    assert "10 trials: 8 done, 1 infeasible, 1 failed." in text
    assert "forget set 50" in text
    assert "attack did not take" in text
    assert "**attack did not take**" not in text  # other trials of the attack passed the gate
    assert "](alpha.png)" in text


def test_what_an_axis_replaces_is_not_said_of_the_campaign(store: Store) -> None:
    text = summary(SPEC, [record()], store, [])
    assert "- poison: 1% of the pairs, 5 epochs" in text
    assert "forget sets of 300 images" in text
    assert "- search: grid over attack (badnets, blended)" in text
    axes = {"forget_size": [20, 300], "poison.rate": [0.1, 0.2], "poison.training.epochs": [1, 2], "seed": [0, 1]}
    spec = SPEC.model_copy(update={"search": SPEC.search.model_copy(update={"axes": axes})})
    text = summary(spec, [record()], store, [])
    assert "- poison: a number of pairs that varies\n" in text
    assert "forget sets\n" in text
    assert "seed 0" not in text
    assert "- search: grid over forget_size (20, 300); poison.rate (0.1, 0.2);" in text


def test_the_results_of_a_grid_read_as_ever(store: Store) -> None:
    text = summary(SPEC, grid(), store, [])
    assert "| badnets | 20 | 0% | 0.5 | 82.2% [80.0, 84.3] | 92.2% [90.6, 93.6] | 14.8% [12.9, 17.0] | 97.9% |" in text


def test_nothing_that_a_user_names_acts_as_markdown(store: Store) -> None:
    evil = "<img src=x>|`a`![b](c)"
    model = SPEC.model.model_copy(update={"architecture": evil})
    spec = SPEC.model_copy(update={"description": f"# {evil}\n{evil}", "model": model})
    axis = f"attacks.{evil}.parameters.{evil}"
    others = {evil: OtherBackdoor(asr_infected=0.9, asr=0.8)}
    found = {"clean": retrieved(0.7), "infected": retrieved(0.6), "removed": retrieved(0.5)}
    more: dict[str, Any] = {
        "trigger": evil,
        "target": evil,
        "others": others,
        "retrieval": found,
        "disentanglement": error_map(),
    }
    records = [
        record(evil, method=evil, axes={axis: 1}, **more),
        record(evil, method=evil, axes={axis: 2}, seed=1, **more),
        record(evil, method=evil, axes={axis: 1}, seed=2, **more),
        record("a", source=evil, task=evil, planting=evil, merge=evil),
        failed(evil, reason=f"{evil}\n# {evil}", method=f"{evil} other"),
    ]
    text = summary(spec, records, store, [])
    assert "## What &lt;img" in text
    assert "&lt;img src=x&gt;\\|\\`a\\`\\![b\\](c)" in text
    for active in ("<img", "|`", "![", "\n# &lt;", "](c"):
        assert active not in text.replace("\\![", "").replace("\\](c", ""), active


def test_how_rebound_was_measured_is_said_of_the_campaign(store: Store) -> None:
    follow = ReboundSpec(steps=40, at=(0,), pairs=500, sweep=(3,))
    spec = SPEC.model_copy(update={"evaluation": SPEC.evaluation.model_copy(update={"rebound": follow})})
    said = "- rebound: 40 steps of 128 of at most 500 clean pairs, lr 0.0001 and 0.0003"
    assert said in summary(spec, [record()], store, [])
    assert "rebound" not in summary(SPEC, [record()], store, [])
