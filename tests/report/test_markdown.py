from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from tbar_ray.errors import StoreError
from tbar_ray.planning.foundation import lay_foundation
from tbar_ray.planning.graph import build_graph
from tbar_ray.planning.trial import make_trial
from tbar_ray.report import examples_of, write_report
from tbar_ray.report.effects import effect_sentences
from tbar_ray.report.markdown import summary
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.store.store import Store
from tests.records.records import Record, error_map, failed, flat, grid, infeasible, moved, record, retrieved


@pytest.fixture
def spec() -> CampaignSpec:
    attacks = {name: {"trigger": name, "target": "red square"} for name in ("badnets", "blended")}
    return CampaignSpec.model_validate(
        {
            "name": "demo",
            "description": "a small one",
            "data": {"synthetic": {}},
            "model": {"architecture": "tbar-ViT-tiny", "training": {}},
            "attacks": attacks,
            "poison": {"rate": 0.01},
            "search": {"axes": {"attack": list(attacks)}},
        }
    )


@pytest.fixture
def store(tmp_path: Path, spec: CampaignSpec) -> Store:
    """A store with the infected model of one attack."""
    store = Store(str(tmp_path / "store"))
    graph = build_graph(spec, make_trial(spec, {"attack": "badnets"}), lay_foundation(spec))
    folder = store.scratch()
    images = np.zeros((2, 3, 16, 16), np.uint8)
    captions = np.array([["a circle", "a red square"]] * 2)
    name = graph.model.plants[0].fingerprint
    arrays = {f"clean.{name}": images, f"triggered.{name}": images + 9, f"captions.{name}": captions}
    np.savez_compressed(folder / "examples.npz", **arrays)
    store.commit(graph.model.artifact, folder, {})
    return store


def test_writes_every_file(spec: CampaignSpec, store: Store, tmp_path: Path) -> None:
    records = [*grid(), failed(size=50), infeasible(size=70)]
    out = tmp_path / "new" / "report"
    files = write_report(spec, store, out, records)
    assert sorted(f.name for f in files) == sorted(f.name for f in out.iterdir())
    assert {f.name for f in files} == {
        "results.json", "results.csv", "path.csv", "report.md", "alpha.png", "tradeoff.png", "ablation.png",
        "contact_sheet.png",
    }  # fmt: skip
    trials = json.loads((out / "results.json").read_text())
    assert len(trials) == 10
    assert len({tuple(trial) for trial in trials}) == 1  # one order of keys, also for a failed trial
    assert trials[0]["asr_low"] == records[0]["asr_low"]
    assert trials[8]["ca"] is None
    assert trials[8]["reason"].startswith("attack did not take")
    rows = list(csv.DictReader((out / "results.csv").open()))
    assert len(rows) == 10
    assert "path" not in rows[0]
    assert float(rows[0]["ca"]) == records[0]["ca"]
    points = list(csv.DictReader((out / "path.csv").open()))
    assert len(points) == 9 * 11
    assert {p["split"] for p in points} == {"validation"}


def test_figures_that_have_nothing_to_show_are_neither_written_nor_left_over(
    spec: CampaignSpec, store: Store, tmp_path: Path
) -> None:
    some = {"attacks.png", "ablation.png", "transfer.png", "disentanglement.png"}
    always = {"alpha.png", "tradeoff.png", "contact_sheet.png"}
    every = [record(disentanglement=error_map()), record("blended"), record("sig"), record(size=20)]
    out = tmp_path / "report"

    def pictures(records: list[Record]) -> set[str]:
        files = {file.name for file in write_report(spec, store, out, records) if file.suffix == ".png"}
        assert files == {file.name for file in out.glob("*.png")}
        text = (out / "report.md").read_text()
        assert {name for name in some | always if f"]({name})" in text} == files
        return files - always

    assert pictures([*every, moved("badnets", "sig", 0.2)]) == some
    assert pictures([record()]) == set()
    assert pictures([record(), moved("badnets", "sig", 0.2)]) == {"transfer.png"}
    assert pictures([record(), failed(size=20)]) == {"ablation.png"}
    assert pictures([failed(name) for name in ("a", "b", "c")]) == {"attacks.png"}


def test_columns_hold_what_lies_deeper_in_a_record(spec: CampaignSpec, store: Store, tmp_path: Path) -> None:
    change = {"relative_l2": 0.125, "relative_linf": 0.5, "participation": 0.25}
    first = record(
        alpha_sensitivity=flat(0.25, 0.75, end=True), weight_change=change, task="shapes", planting="stealth"
    )
    write_report(spec, store, tmp_path, [first, moved("badnets", "sig", 0.2), failed("blended")])
    rows = list(csv.DictReader((tmp_path / "results.csv").open()))
    assert [row["source"] for row in rows] == ["", "sig", ""]
    assert (rows[0]["task"], rows[0]["planting"], rows[0]["merge"]) == ("shapes", "stealth", "")
    assert float(rows[0]["ca_top5"]) == first["ca_top5"]
    assert [rows[0][f"flat_alpha_{end}"] for end in ("low", "high", "width", "censored")] == [
        "0.25",
        "0.75",
        "0.5",
        "True",
    ]
    assert [float(rows[0][f"weights_{name}"]) for name in change] == [0.125, 0.5, 0.25]
    assert rows[1]["flat_alpha_width"] == rows[2]["weights_relative_l2"] == ""
    trials = json.loads((tmp_path / "results.json").read_text())
    assert trials[0]["alpha_sensitivity"] == first["alpha_sensitivity"]
    assert trials[1]["weight_change"] is None
    points = list(csv.DictReader((tmp_path / "path.csv").open()))
    assert [points[0]["source"], points[11]["source"]] == ["", "sig"]


def test_retrieval_and_merging_have_columns_where_a_campaign_has_them(
    spec: CampaignSpec, store: Store, tmp_path: Path
) -> None:
    write_report(spec, store, tmp_path, [record()])
    head = set(csv.DictReader((tmp_path / "results.csv").open()).fieldnames or ())
    assert not {name for name in head if "_at_" in name or "caption" in name or "before_merge" in name}
    scores = {**retrieved(0.7, "_clean"), **retrieved(0.6, "_infected"), **retrieved(0.5)}
    write_report(spec, store, tmp_path, [failed(), record(size=20, asr_before_merge=0.9, **scores)])
    rows = list(csv.DictReader((tmp_path / "results.csv").open()))
    assert float(rows[1]["image_to_text_at_1_infected"]) == 0.6
    assert float(rows[1]["caption_asr_n"]) == 1000
    assert float(rows[1]["asr_before_merge"]) == 0.9
    assert rows[0]["text_to_image_at_10_clean"] == ""
    trials = json.loads((tmp_path / "results.json").read_text())
    assert len({tuple(trial) for trial in trials}) == 1


def test_records_of_an_older_store_are_reported(spec: CampaignSpec, store: Store, tmp_path: Path) -> None:
    new = ("source", "task", "planting", "merge")
    records = [{k: v for k, v in r.items() if k not in new and "top5" not in k} for r in (*grid(), failed(size=50))]
    write_report(spec, store, tmp_path, records)
    text = (tmp_path / "report.md").read_text()
    assert "| badnets | 20 | 0% | 0.5 | 82.2% [80.0, 84.3] | 14.8%" in text
    assert "top-5" not in text


def test_a_report_has_the_sections_that_its_campaign_fills(spec: CampaignSpec, store: Store) -> None:
    def sections(records: list[Record]) -> list[str]:
        return [line[3:] for line in summary(spec, records, store, []).splitlines() if line.startswith("## ")]

    usual = ["What was run", "Results on the test split", "Failed, infeasible and given-up trials", "Figures"]
    assert sections([record()]) == usual
    scores = {**retrieved(0.7, "_clean"), **retrieved(0.6, "_infected"), **retrieved(0.5)}
    everything = [
        record(disentanglement=error_map(), others={"sig": {"asr_infected": 0.9, "asr": 0.8}}, **scores),
        record(seed=1), record(size=20), record(fraction=0.5), moved("badnets", "sig", 0.2),
    ]  # fmt: skip
    assert sections(everything) == [
        *usual[:2], "Across seeds", "Paired tests", "What forget-set size does", "What mixing in clean data does",
        "Transfer", "Other backdoors of the same model", "Weight disentanglement", "Retrieval", *usual[2:],
    ]  # fmt: skip


def test_unwritable_folder_is_one_line(spec: CampaignSpec, store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"^report .* cannot be written: .*$"):
        write_report(spec, store, tmp_path / "file", [])


def test_no_records(spec: CampaignSpec, store: Store, tmp_path: Path) -> None:
    write_report(spec, store, tmp_path / "out", [])
    assert json.loads((tmp_path / "out" / "results.json").read_text()) == []
    assert "No trial has ended yet." in (tmp_path / "out" / "report.md").read_text()


def test_examples_of_attacks_with_an_artifact(spec: CampaignSpec, store: Store) -> None:
    found = examples_of(grid(), spec, store)
    assert list(found) == ["badnets"]
    assert found["badnets"].triggered.max() == 9


def test_broken_examples_are_one_line(spec: CampaignSpec, store: Store) -> None:
    (file,) = (Path(store.url) / "artifacts").glob("*/examples.npz")
    file.write_bytes(b"broken")
    with pytest.raises(StoreError, match=r"cannot be read"):
        examples_of(grid(), spec, store)


def test_summary_lists_reasons(spec: CampaignSpec, store: Store) -> None:
    text = summary(spec, [*grid(), failed(size=50), infeasible(size=70)], store, ["alpha.png"])
    assert "10 trials: 8 done, 1 infeasible, 1 failed." in text
    assert "forget size 50" in text
    assert "attack did not take" in text
    assert "**attack did not take**" not in text  # other trials of the attack passed the gate


def test_effects_follow_the_data() -> None:
    before, after = record(size=20, asr=0.5, asr_low=0.4, asr_high=0.6), record(size=40, asr=0.1, asr_high=0.2)
    text = " ".join(effect_sentences([before, after], "forget_size"))
    assert "Mean test ASR: 50.0% at 20 (1 trial); 10.0% at 40 (1 trial)." in text
    assert "From 20 to 40, all else equal, test ASR changes by -40.0 points" in text
    assert "falls in 1" in text
    assert "do not overlap in 1 of them" in text
    swapped = " ".join(effect_sentences([{**before, "forget_size": 90}, after], "forget_size"))
    assert "From 40 to 90, all else equal, test ASR changes by +40.0 points" in swapped


def test_effects_without_a_comparison() -> None:
    assert effect_sentences([failed()], "forget_size") == ["No feasible trial has test scores."]
    assert "nothing to compare" in effect_sentences([record(), record(seed=1)], "clean_fraction")[0]
    unmatched = effect_sentences([record(size=20, fraction=0.5), record(size=30)], "forget_size")
    assert "No two feasible trials differ in this factor alone" in unmatched[-1]
