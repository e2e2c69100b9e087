"""Methods that start from the edit of another, through the store."""

from __future__ import annotations

from pathlib import Path

import torch

from tbar_ray.planning.planner import Planner
from tbar_ray.stages.unlearn import Unlearn
from tbar_ray.store.store import Store
from tbar_ray.unlearning.edit import Edit
from tests.specs import spec
from tests.stages.computing import compute_all

SETTINGS = {"steps": 2, "batch_size": 8, "learning_rate": 1e-3}


def stage_of(method: str) -> Unlearn:
    """A method on a given infected model: the shipped one, which is none, and answers as well."""
    made = spec(
        data__synthetic={"samples": 60, "size": 64, "per_class": 2},
        model={"architecture": "tbar-GN-pico", "pretrained": "scenes"},
        attacks={"given": {"trigger": "blended", "target": "red circle", "infected": "scenes"}},
        poison__min_asr=0.0,
        forget__size=20,
        unlearning={"method": method, "parameters": SETTINGS},
        search={"axes": {}},
    )
    return Planner(made).plan({}).graph.path.unlearn


def test_the_edit_is_that_of_the_method_alone_and_what_it_cost_is_counted(tmp_path: Path) -> None:
    store, stage = Store(str(tmp_path)), stage_of("tbar-layers")
    alone = stage.model_copy(update={"start": None})
    for made in (stage, alone):
        compute_all(made, store)
    found, whole = (Edit.load(store.fetch(made.artifact)).vector for made in (stage, alone))
    assert found.moved == whole.moved
    assert 0 < len(found.moved) < len(Edit.load(store.fetch(stage.start.artifact)).vector.moved)
    assert all(torch.equal(found.tensors[key], whole.tensors[key]) for key in whole.moved)
    facts, expected, base = (store.facts(made.artifact)["facts"] for made in (stage, alone, stage.start))
    assert facts["training"]["samples"] == expected["training"]["samples"] == 16
    assert facts["training"]["losses"] == expected["training"]["losses"]
    assert facts["training"]["seconds"] >= base["training"]["seconds"]
    assert facts["peak_memory"] >= base["peak_memory"]
    assert facts["method"] == expected["method"]


def test_it_is_planned_after_its_base() -> None:
    stage = stage_of("tbar-low-rank")
    assert stage.start == stage_of("tbar")
    assert stage.start in list(stage.needed_stages())
    assert stage.work == 0
    assert stage.start.work == 16
