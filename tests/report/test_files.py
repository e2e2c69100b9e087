from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tbar_ray.errors import StoreError
from tbar_ray.records.measures import Cost, WeightChange
from tbar_ray.records.record import SCHEMA_VERSION, TrialRecord
from tbar_ray.records.scores import METRICS
from tbar_ray.report import files
from tbar_ray.report.files import write_report
from tbar_ray.store.store import Store
from tests.records.records import (
    curve_of,
    epochs_grid,
    error_map,
    failed,
    flat,
    gated,
    geometry,
    grid,
    grown,
    infeasible,
    masked,
    moved,
    rebounding,
    record,
    retrieved,
    scores,
    seen,
)
from tests.report.campaign import SPEC


@pytest.fixture(autouse=True)
def unrendered(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are empty but in the first test: which files there are does not depend on what is in them."""
    if request.node.name != "test_writes_every_file":
        monkeypatch.setattr(files, "_png", lambda _: b"")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"))


def test_writes_every_file(store: Store, tmp_path: Path) -> None:
    records = [*grid(), failed(size=50), infeasible(size=70)]
    out = tmp_path / "new" / "report"
    written = write_report(SPEC, store, out, records)
    assert sorted(f.name for f in written) == sorted(f.name for f in out.iterdir())
    assert {f.name for f in written} == {
        "results.json", "results.csv", "results.parquet", "path.csv", "path.parquet", "columns.csv", "report.md",
        "report.html", "alpha.png", "tradeoff.png", "ablation.png", "contact_sheet.png",
    }  # fmt: skip
    assert all(f.read_bytes().startswith(b"\x89PNG") for f in written if f.suffix == ".png")
    trials = json.loads((out / "results.json").read_text())
    assert len(trials) == 10
    assert len({tuple(trial) for trial in trials}) == 1  # one order of keys, also for a failed trial
    asr = records[0].rate("asr")
    assert asr is not None
    assert [trials[0][f"asr{end}"] for end in ("", "_low", "_high", "_n")] == [asr.value, asr.low, asr.high, asr.n]
    assert {trial["schema_version"] for trial in trials} == {SCHEMA_VERSION}
    assert trials[8]["ca"] is None
    assert trials[8]["reason"].startswith("attack did not take")
    rows = list(csv.DictReader((out / "results.csv").open()))
    assert len(rows) == 10
    assert "path" not in rows[0]
    assert float(rows[0]["ca"]) == records[0].value("ca")
    points = list(csv.DictReader((out / "path.csv").open()))
    assert len(points) == 9 * 11
    assert {p["split"] for p in points} == {"validation"}


def test_figures_that_have_nothing_to_show_are_neither_written_nor_left_over(store: Store, tmp_path: Path) -> None:
    some = {"attacks.png", "visibility.png", "ablation.png", "transfer.png", "disentanglement.png"}
    more = {"growth.png", "growth_geometry.png", "rebound.png"}
    always = {"alpha.png", "tradeoff.png", "contact_sheet.png"}
    every = [record(disentanglement=error_map()), record("blended"), record("sig"), record(size=20)]
    out = tmp_path / "report"

    def pictures(records: list[TrialRecord]) -> set[str]:
        found = {file.name for file in write_report(SPEC, store, out, records) if file.suffix == ".png"}
        assert found == {file.name for file in out.glob("*.png")}
        text = (out / "report.md").read_text()
        assert {name for name in some | more | always if f"]({name})" in text} == found
        return found - always

    assert pictures([*every, moved("badnets", "sig", 0.2)]) == some - {"visibility.png"}
    assert pictures([record()]) == set()
    visible = [record(name, visibility=seen(20), poisoning_rate=None) for name in ("badnets", "blended", "sig")]
    assert pictures(visible) == {"attacks.png", "visibility.png"}
    assert pictures([record(), moved("badnets", "sig", 0.2)]) == {"transfer.png"}
    assert pictures([record(), failed(size=20)]) == {"ablation.png"}
    assert pictures([made for made in epochs_grid() if made.attack == "badnets"]) == {"ablation.png"}
    assert pictures([record(), record(seed=1), record("blended", poisoning_rate=0.2)]) == set()
    assert pictures([failed(name) for name in ("a", "b", "c")]) == {"attacks.png"}
    assert pictures([record(rebounds=(rebounding(curve_of(0.0, 0.1)),))]) == {"rebound.png"}
    assert (out / "rebound.csv").is_file()
    assert pictures([grown(samples=n) for n in (40_000, 400_000)]) == {"ablation.png", "growth.png"}
    mapped = [grown(samples=n, disentanglement=error_map()) for n in (40_000, 400_000)]
    assert pictures(mapped) == {"ablation.png", "disentanglement.png", "growth.png", "growth_geometry.png"}


def test_columns_hold_what_lies_deeper_in_a_record(store: Store, tmp_path: Path) -> None:
    change = WeightChange(relative_l2=0.125, relative_linf=0.5, participation=0.25)
    cost = Cost(
        data=7, forget_images=6, clean_pairs=5, training_pairs=4, samples=3, steps=2, seconds=1.5, peak_memory=1
    )
    sensitivity = flat(0.25, 0.75, end=True)
    first = record(alpha_sensitivity=sensitivity, weight_change=change, cost=cost, task="shapes", planting="stealth")
    write_report(SPEC, store, tmp_path, [first, moved("badnets", "sig", 0.2), failed("blended")])
    rows = list(csv.DictReader((tmp_path / "results.csv").open()))
    assert [row["source"] for row in rows] == ["", "sig", ""]
    assert (rows[0]["task"], rows[0]["planting"]) == ("shapes", "stealth")
    assert "merge" not in rows[0], "no trial has a value"
    assert float(rows[0]["ca_top5"]) == first.value("ca_top5")
    assert float(rows[0]["pa_clean"]) == first.value("pa", "clean")
    assert float(rows[0]["ca_retention_clean"]) == first.ca_retention_clean
    flat_alpha = [rows[0][f"flat_alpha_{end}"] for end in ("low", "high", "width", "censored")]
    assert flat_alpha == ["0.25", "0.75", "0.5", "True"]
    moves = [float(rows[0][f"weights_{name}"]) for name in ("relative_l2", "relative_linf", "participation")]
    assert moves == [0.125, 0.5, 0.25]
    assert (rows[0]["defender_images"], rows[0]["unlearning_seconds"]) == ("7", "1.5")
    assert rows[1]["flat_alpha_width"] == rows[2]["weights_relative_l2"] == rows[1]["unlearning_steps"] == ""
    trials = json.loads((tmp_path / "results.json").read_text())
    assert trials[0]["alpha_sensitivity"] == sensitivity.model_dump(mode="json")
    assert trials[1]["weight_change"] is None
    points = list(csv.DictReader((tmp_path / "path.csv").open()))
    assert [points[0]["source"], points[11]["source"]] == ["", "sig"]
    assert [float(points[3][metric]) for metric in METRICS] == [
        first.path[3].scores.rate(metric).value for metric in METRICS
    ]


def test_maps_and_pretraining_have_columns_where_a_campaign_has_them(store: Store, tmp_path: Path) -> None:
    write_report(SPEC, store, tmp_path, [record()])
    head = set(csv.DictReader((tmp_path / "results.csv").open()).fieldnames or ())
    assert not head & {"xi_planted", "gradient_overlap", "pretraining_samples"}
    maps = error_map(at_equal_length=0.3, alpha_equal_length=-0.7, geometry=geometry(0.4, 0.03, -0.2))
    found = [grown(disentanglement=maps), grown(seed=1, disentanglement=error_map()), grown(seed=2)]
    write_report(SPEC, store, tmp_path, found)
    first, second, third = csv.DictReader((tmp_path / "results.csv").open())
    assert [first[name] for name in ("xi_planted", "xi_equal_length", "alpha_equal_length")] == ["0.5", "0.3", "-0.7"]
    angles = ("cosine_towards_target", "trigger_relative_length", "gradient_overlap")
    assert [first[name] for name in angles] == ["0.4", "0.03", "-0.2"]
    assert [second[name] for name in ("xi_planted", *angles)] == ["0.5", "", "", ""]
    assert (third["xi_planted"], third["pretraining_samples"]) == ("", "40000")


def test_retrieval_and_merging_have_columns_where_a_campaign_has_them(store: Store, tmp_path: Path) -> None:
    write_report(SPEC, store, tmp_path, [record()])
    head = set(csv.DictReader((tmp_path / "results.csv").open()).fieldnames or ())
    assert not {name for name in head if "_at_" in name or "caption" in name or "before_merge" in name}
    found = {"clean": retrieved(0.7), "infected": retrieved(0.6), "removed": retrieved(0.5)}
    merged = record(size=20, before_merge=scores(0.9, 0.5, 0.1, n=120), retrieval=found)
    write_report(SPEC, store, tmp_path, [failed(), merged])
    rows = list(csv.DictReader((tmp_path / "results.csv").open()))
    assert float(rows[1]["image_to_text_at_1_infected"]) == 0.6
    assert float(rows[1]["caption_asr_n"]) == 1000
    assert float(rows[1]["asr_before_merge"]) == 0.5
    assert "pa_before_merge" not in rows[1]
    assert rows[0]["text_to_image_at_10_clean"] == ""
    trials = json.loads((tmp_path / "results.json").read_text())
    assert len({tuple(trial) for trial in trials}) == 1


def test_scores_with_both_statistics_have_columns_where_models_have_any(store: Store, tmp_path: Path) -> None:
    write_report(SPEC, store, tmp_path, [record()])
    for name in ("results.csv", "path.csv"):
        head = (tmp_path / name).read_text().splitlines()[0]
        assert "as_applied" not in head
        assert "masked" not in head
    made = masked()
    write_report(SPEC, store, tmp_path, [made, record("blended")])
    first, second = csv.DictReader((tmp_path / "results.csv").open())
    assert (first["statistics"], first["statistics_images"]) == ("reestimated", "960")
    assert [float(first[f"{metric}_as_applied"]) for metric in ("ca", "asr", "pa")] == [
        made.value(metric, "as_applied") for metric in ("ca", "asr", "pa")
    ]
    assert float(first["asr_masked"]) == made.asr_masked
    assert int(first["asr_masked_n"]) == 1180
    assert (second["statistics"], second["asr_masked"], second["asr_as_applied"]) == ("", "", "")
    assert "asr_reestimated" not in first
    points = list(csv.DictReader((tmp_path / "path.csv").open()))
    applied = made.path[3].as_applied
    assert applied is not None
    assert float(points[3]["asr_as_applied"]) == applied.asr.value
    assert points[-1]["asr_as_applied"] == ""
    trials = json.loads((tmp_path / "results.json").read_text())
    assert trials[0]["path"][3]["asr_as_applied"] == applied.asr.value


def test_an_axis_without_a_short_name_has_a_column_after_the_usual_ones(store: Store, tmp_path: Path) -> None:
    axis = "model.training.epochs"
    write_report(SPEC, store, tmp_path, [*epochs_grid(), record(axes={"learning_rate": 1e-5})])
    for name, copies in (("results.csv", 1), ("path.csv", 11)):
        rows = list(csv.DictReader((tmp_path / name).open()))
        assert [row[axis] for row in rows] == [e for e in ("1", "3", "1", "3", "") for _ in range(copies)]
        assert [row["learning_rate"] for row in rows[-copies:]] == ["1e-05"] * copies
        names = [field for field in rows[0] if field != "fingerprint"]
        assert names[: names.index("alpha")] == [
            "attack", "trigger", "target", "planting", "method", "forget_size", "clean_fraction", "poisoning_rate",
            "seed", "learning_rate", axis,
        ]  # fmt: skip
    trials = json.loads((tmp_path / "results.json").read_text())
    assert [trial[axis] for trial in trials] == [1, 3, 1, 3, None]


def test_unwritable_folder_is_one_line(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"^report .* cannot be written: .*$"):
        write_report(SPEC, store, tmp_path / "file", [])


def test_no_records(store: Store, tmp_path: Path) -> None:
    write_report(SPEC, store, tmp_path / "out", [])
    assert json.loads((tmp_path / "out" / "results.json").read_text()) == []
    assert "No trial has ended yet." in (tmp_path / "out" / "report.md").read_text()


def test_visibility_and_what_the_gate_compared_have_columns_where_they_are_known(store: Store, tmp_path: Path) -> None:
    out = tmp_path / "report"
    unseen = record("sig", visibility=seen(None))
    write_report(SPEC, store, out, [record(visibility=seen(25.5), gate=gated(0.97)), unseen])
    first, second = csv.DictReader((out / "results.csv").open())
    assert [float(first[f"psnr{end}"]) for end in ("", "_low", "_high", "_n")] == [25.5, 25.1, 25.9, 254]
    assert (float(first["ssim"]), int(first["unchanged_images"])) == (0.9, 2)
    assert (second["psnr"], int(second["unchanged_images"])) == ("", 256), "infinite"
    validation = ("asr_infected_validation", "ca_infected_validation", "ca_clean_validation")
    assert [float(first[name]) for name in validation] == [0.97, 0.85, 0.86]
    told = json.loads((out / "results.json").read_text())
    assert told[0]["visibility"]["images"] == 256
    assert told[0]["gate"]["min_asr"] == 0.8
    assert "## Attacks and their visibility" in (out / "report.md").read_text()
    write_report(SPEC, store, out, [record()])
    (plain,) = csv.DictReader((out / "results.csv").open())
    assert not {"psnr", "ssim", "unchanged_images", *validation} & plain.keys()


def test_rebound_has_columns_and_a_table_of_its_own(store: Store, tmp_path: Path) -> None:
    changed = {"wise-ft": scores(0.85, 0.5, 0.3)}
    followed = record(rebounds=(rebounding(curve_of(0.0, 0.3, 0.6, 0.4)),), downstream=changed)
    write_report(SPEC, store, tmp_path, [followed, record("blended")])
    rows = list(csv.DictReader((tmp_path / "results.csv").open()))
    assert [row["asr_wise_ft"] for row in rows] == ["0.5", ""]
    assert [row["rebound_highest"] for row in rows] == ["0.6", ""]
    assert (rows[0]["rebound_revival"], rows[0]["rebound_eligible"]) == ("20", "True")
    assert float(rows[0]["rebound_highest_infected"]) > 0.9
    trials = json.loads((tmp_path / "results.json").read_text())
    assert [len(trial["rebounds"]) for trial in trials] == [1, 0]
    assert trials[0]["downstream"]["wise-ft"]["asr"]["value"] == 0.5
    steps = list(csv.DictReader((tmp_path / "rebound.csv").open()))
    assert [(row["model"], row["step"], row["asr"]) for row in steps if row["model"] == "removed"][2:] == [
        ("removed", "20", "0.6"), ("removed", "30", "0.4"),
    ]  # fmt: skip
    assert {row["attack"] for row in steps} == {"badnets"}
    write_report(SPEC, store, tmp_path, [record()])
    assert not (tmp_path / "rebound.csv").exists(), "nothing of an earlier report is left"
    assert "rebound_highest" not in (tmp_path / "results.csv").read_text()


def test_columns_are_filled_with_the_parameters_that_a_method_ran_with(store: Store, tmp_path: Path) -> None:
    for made, rate in ((default := record(), 0.25), (other := record(method="finetune"), 0.75)):
        for name, identity in (
            (made.path_artifact, {"unlearn": made.method}),
            (f"vector-{made.method}", {"parameters": {"learning_rate": rate, "steps": 7}}),
        ):
            store.commit(name, store.scratch(), {"identity": identity})
    axes = {"learning_rate": 0.5, "finetune.steps": 9}
    write_report(SPEC, store, tmp_path, [default, other, record(size=300, axes=axes)])
    rows = list(csv.DictReader((tmp_path / "results.csv").open()))
    assert [row["learning_rate"] for row in rows] == ["0.25", "0.75", "0.5"]
    assert [row["finetune.steps"] for row in rows] == ["", "7", "9"], "of its own method alone"
    assert json.loads(rows[0]["parameters"]) == {"learning_rate": 0.25, "steps": 7}
    assert rows[2]["parameters"] == ""
    trials = json.loads((tmp_path / "results.json").read_text())
    assert trials[0]["learning_rate"] == 0.25
