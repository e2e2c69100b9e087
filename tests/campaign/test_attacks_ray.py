"""Every kind of attack and measure through a whole campaign on a real local Ray, as small as it gets."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tbar_ray.planning.planner import Planner
from tbar_ray.planning.trial import grid
from tbar_ray.records.record import TrialRecord
from tbar_ray.stages.measure_disentanglement import DisentanglementRow
from tbar_ray.stages.merge import MergedModel
from tbar_ray.stages.models import ModelNode
from tbar_ray.stages.node import stages_in_order
from tbar_ray.stages.poison import InfectedModel
from tbar_ray.store.store import Store
from tests.campaign.test_campaign_ray import TRAINING, small, start
from tests.models.tiny import same, snapshot
from tests.stages.computing import compute_all, compute_trial

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600), pytest.mark.usefixtures("unrendered")]

FAST: dict[str, Any] = {
    "poison__pairs": 60,
    "alpha": [0, 2],
    "search": {"axes": {"attack": ["a"], "forget_size": [8]}, "concurrency": 1},
}
TASKS = {
    "shapes": {"synthetic": "shapes", "per_class": 3, "per_class_test": 2},
    "colours": {"synthetic": "colours", "per_class": 4, "per_class_test": 2},
}


def reestimated_again(
    stage: ModelNode, store: Store, reestimate: Callable[[nn.Module], None]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the weights and statistics of a model, and those after its statistics are estimated once more."""
    model = stage.load(store, torch.device("cpu"))
    before = snapshot(model)
    reestimate(model)
    return before, snapshot(model)


def by_cell(records: list[TrialRecord]) -> dict[tuple[str, str], TrialRecord]:
    return {(record.attack, record.source): record for record in records}


def test_two_backdoors_in_one_model_and_what_removing_one_does_to_the_other(local_ray: None, tmp_path: Path) -> None:
    made = small(
        **{**FAST, "search": {"axes": {"attack": ["a", "b"]}}},
        poison__plant="together",
        data__synthetic__retrieval=300,
        attacks={
            "a": {"trigger": "badnets-square", "target": "red circle"},
            "b": {"trigger": "wanet", "target": "blue star", "poison": {"count": 5}},
        },
    )
    store = Store(str(tmp_path))
    records = [compute_trial(made, values, store) for values in grid(made)]
    graphs = [planned.graph for planned in Planner(made).grid()]
    assert graphs[0].model == graphs[1].model
    manifest = json.loads((store.fetch(graphs[0].model.artifact) / "manifest.json").read_text())
    keys = [{sample["key"] for sample in entry["samples"]} | set(entry["cover"]) for entry in manifest]
    assert [len(entry["samples"]) for entry in manifest] == [6, 5]
    assert len(manifest[1]["cover"]) == 10  # two cover samples for each poisoned one
    assert not keys[0] & keys[1]
    assert [list(record.others) for record in records] == [["b"], ["a"]]
    assert records[0].others["b"].asr_infected == records[1].value("asr", "infected")
    for record in records:
        at_1, at_10 = (record.value(f"image_to_text_at_{k}") for k in (1, 10))
        assert at_1 is not None
        assert at_10 is not None
        assert at_10 >= at_1
        captions = record.rate("caption_asr", "infected")
        assert captions is not None
        assert (captions.n or 0) > 0
        assert record.weight_change is not None
        assert record.weight_change.relative_l2 > 0


@pytest.mark.slow
def test_a_learned_patch_a_clean_label_attack_and_attackers_who_know(local_ray: None, tmp_path: Path) -> None:
    attacks = {
        "a": {"trigger": "badclip/badclip", "target": "red circle",
              "patch": {"pairs": 16, "target_images": 4, "parameters": {"epochs": 1, "batch_size": 8}}},
        "consistent": {"trigger": "cleanclip/label-consistent", "target": "red circle", "poison": {"count": 2}},
        "robust": {"trigger": "blended", "target": "red circle", "planting": {"method": "negation-robust"}},
        "stealth": {"trigger": "blended", "target": "red circle", "planting": {"method": "stealth"}},
    }  # fmt: skip
    made = small(
        **{**FAST, "search": {"axes": {"attack": list(attacks)}}, "poison__pairs": 300},
        data__synthetic={"samples": 600, "size": 64, "per_class": 2},
        attacks=attacks,
    )
    store = Store(str(tmp_path))
    records = [compute_trial(made, values, store) for values in grid(made)]
    assert [record.reason for record in records if record.status != "done"] == []
    graphs = {planned.trial.attack: planned.graph for planned in Planner(made).grid()}
    patch = graphs["a"].model.plants[0].backdoor.build(store)
    assert patch.pixels
    clean_label = json.loads((store.fetch(graphs["consistent"].model.artifact) / "manifest.json").read_text())[0]
    assert all(sample["old_caption"] == sample["new_caption"] for sample in clean_label["samples"])
    assert all("red circle" in sample["new_caption"].lower() for sample in clean_label["samples"])


@pytest.mark.slow
def test_the_single_task_setting_a_merge_and_vectors_of_other_models(local_ray: None, tmp_path: Path) -> None:
    poison = {"rate": 0.2, "training": {**TRAINING, "batch_size": 8}}
    made = small(
        **{**FAST, "search": {"axes": {"attack": ["a", "b"], "source": ["a", "b"]}}},
        tasks=TASKS,
        attacks={
            "a": {"trigger": "badnets-square", "target": "circle", "task": "shapes", "poison": poison,
                  "planting": {"method": "badmerging"}, "merge": {"tasks": ["colours"]}},
            "b": {"trigger": "badnets-square", "target": "red", "task": "colours", "poison": poison},
        },
        forget__size=6,
    )  # fmt: skip
    launched = start(made, tmp_path)
    assert [record.reason for record in launched.records if record.status == "failed"] == []
    found = by_cell(launched.records)
    assert set(found) == {("a", "a"), ("a", "b"), ("b", "b"), ("b", "a")}
    assert found["a", "a"].value("asr", "before_merge") is not None
    assert found["b", "b"].before_merge is None
    assert found["b", "a"].value("asr", "infected") == found["b", "b"].value("asr", "infected")
    report = (launched.report / "report.md").read_text()
    assert "## Transfer" in report
    assert "## Paired tests" in report
    assert (launched.report / "transfer.png").exists()

    store = Store(str(tmp_path / "store"))
    stages = stages_in_order([output for planned in Planner(made).grid() for output in planned.graph.outputs])
    merged = [stage for stage in stages if isinstance(stage, MergedModel)]
    clean = [stage for stage in stages if isinstance(stage, InfectedModel) and not stage.plants]
    infected = [stage for stage in stages if isinstance(stage, InfectedModel) and stage.plants]
    assert merged
    assert clean
    assert infected
    for stage in merged:
        assert same(*reestimated_again(stage, store, lambda model, stage=stage: stage._reestimate(store, model)))
    for trained in (*clean, *infected):
        samples = trained.training_samples(store)[:2]
        before, after = reestimated_again(
            trained, store, lambda model, stage=trained, samples=samples: stage._reestimate(model, samples, ())
        )
        # the infected model's statistics are those of images that were stamped
        assert same(before, after) == (not trained.plants)


def test_a_map_is_computed_once_for_every_forget_set_and_goes_on_where_it_was_killed(
    local_ray: None, tmp_path: Path
) -> None:
    points = {
        "points": 3,
        "low": -1,
        "high": 1,
        "images": 20,
        "samples": 16,
        "clean_fraction": 0.5,
        "training": TRAINING,
    }
    made = small(
        **{**FAST, "search": {"axes": {"attack": ["a"], "forget_size": [8, 16]}}},
        attacks={"a": {"trigger": "sig", "target": "red circle"}},
        disentanglement=points,
    )
    store = Store(str(tmp_path / "store"))
    graphs = [planned.graph for planned in Planner(made).grid()]
    assert graphs[0].map == graphs[1].map
    launched = start(made, tmp_path)
    first = launched.records[0].disentanglement
    assert first is not None
    assert np.array(first.clean_term).shape == (3, 3)
    assert first.statistics == "reestimated"
    assert first.geometry is not None
    assert graphs[0].geometry == graphs[1].geometry
    # on an axis the other vector is absent, so that its term is exactly 0
    assert [row[1] for row in first.clean_term] == [0.0] * 3
    assert first.triggered_term[1] == (0.0,) * 3
    assert (launched.report / "disentanglement.png").exists()

    row = next(stage for stage in stages_in_order([graphs[0].map]) if isinstance(stage, DisentanglementRow))  # type: ignore[list-item]
    kept = store.fetch(row.artifact) / "row.json"
    cells = json.loads(kept.read_text())
    ignored = shutil.ignore_patterns(row.artifact)
    shutil.copytree(tmp_path / "store" / "artifacts", tmp_path / "again" / "artifacts", ignore=ignored)
    again = Store(str(tmp_path / "again"))
    again.write_json(f"progress/{row.artifact}.json", cells[:2])
    compute_all(row, again)
    assert json.loads((again.fetch(row.artifact) / "row.json").read_text()) == cells
    assert again.facts(row.artifact)["facts"]["resumed_cells"] == 2
    assert not again.exists(f"progress/{row.artifact}.json")


def test_bisection_chooses_the_alpha_of_the_grid(local_ray: None, tmp_path: Path) -> None:
    attacks = {"a": {"trigger": "badnets-square", "target": "red circle"}}
    store, records = Store(str(tmp_path)), {}
    for search in ("grid", "bisection"):
        made = small(
            **{**FAST, "alpha": [0, 0.5, 1, 2, 4, 8]},
            attacks=attacks,
            evaluation__min_retention=0.5,
            evaluation__alpha_search=search,
        )
        records[search] = compute_trial(made, grid(made)[0], store)
    whole, found = records["grid"], records["bisection"]
    assert whole.path_falls is None
    assert isinstance(found.path_falls, bool)
    assert all(point in whole.path for point in found.path)
    assert (len(found.path) < len(whole.path)) == found.path_falls
    if not found.path_falls:
        assert found.alpha == whole.alpha
