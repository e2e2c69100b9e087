"""The geometry of a trigger, computed without an infected model, and the vectors that it compares."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tbar_ray.evaluation.geometry import image_weights
from tbar_ray.execution.stage_task import compute
from tbar_ray.models.factory import create_model, preprocessing
from tbar_ray.models.task_vector import TaskVector
from tbar_ray.planning.planner import Planner
from tbar_ray.stages.component import VECTOR, ComponentVector
from tbar_ray.stages.geometry import GEOMETRY, MeasureGeometry
from tbar_ray.stages.node import stages_in_order
from tbar_ray.stages.samples import open_evaluation
from tbar_ray.store.store import Store
from tests.specs import spec
from tests.stages.computing import compute_all

WANTED: dict[str, Any] = {
    "model": {"architecture": "tbar-GN-pico", "pretrained": "scenes"},
    "data__synthetic": {"samples": 60, "size": 64, "per_class": 2},
    "disentanglement": {
        "points": 3, "images": 20, "samples": 12, "clean_fraction": 0.25,
        "training": {"epochs": 1, "batch_size": 4, "optimisation": {"learning_rate": 1e-3}},
    },
}  # fmt: skip


def stage_of(attack: str = "blended", **changes: Any) -> MeasureGeometry:
    found = Planner(spec(**{**WANTED, **changes})).plan({"attack": attack}).graph.geometry
    assert found is not None
    return found


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    made = Store(str(tmp_path_factory.mktemp("store")))
    compute_all(stage_of(), made)
    return made


def vector(stage: ComponentVector, store: Store) -> dict[str, np.ndarray]:
    tensors = TaskVector.load(store.fetch(stage.artifact) / VECTOR).tensors
    return {name: tensor.numpy().astype(float) for name, tensor in tensors.items()}


def test_lengths_and_angles_are_those_of_the_stored_vectors(store: Store) -> None:
    stage = stage_of()
    found = json.loads((store.fetch(stage.artifact) / GEOMETRY).read_text())
    model = create_model("tbar-GN-pico", pretrained="scenes")
    names = list(image_weights(model))
    t, y = (
        np.concatenate([vector(each, store)[name].ravel() for name in names])
        for each in (stage.trigger_vector, stage.towards_vector)
    )
    theta = np.concatenate([w.detach().numpy().astype(float).ravel() for w in image_weights(model).values()])
    assert found["cosine_towards_target"] == pytest.approx(t @ y / np.linalg.norm(t) / np.linalg.norm(y))
    assert -1 < found["cosine_towards_target"] < 1, "the stamp makes another vector"
    assert found["relative_length"] == pytest.approx(np.linalg.norm(t) / np.linalg.norm(theta))
    assert -1 < found["gradient_overlap"] < 1
    assert len(found["gradient_overlap_by_depth"]) == 4
    assert found["images"] == 20


def test_it_is_deterministic_and_reports_both_gradients(store: Store, tmp_path: Path) -> None:
    stage, again, told = stage_of(), Store(str(tmp_path)), list[dict[str, Any]]()
    for needed in stage.needed_stages():
        compute_all(needed, again)
    compute(stage, again, report=told.append)
    assert (again.fetch(stage.artifact) / GEOMETRY).read_text() == (store.fetch(stage.artifact) / GEOMETRY).read_text()
    assert told == [{"done": 1, "total": 2}, {"done": 2, "total": 2}]


def test_the_vector_towards_the_target_differs_from_the_triggers_by_the_stamp_alone(store: Store) -> None:
    stage = stage_of()
    data = open_evaluation(stage.trigger_vector.evaluation, store)
    preprocess = preprocessing(create_model("tbar-GN-pico"))
    stamped, plain = (each._samples(store, data, preprocess) for each in (stage.trigger_vector, stage.towards_vector))
    assert stamped.labels is not None
    assert plain.labels is not None
    assert torch.equal(stamped.labels, plain.labels)
    target = data.class_index("red circle")
    assert stamped.labels[:9].tolist() == [target] * 9
    assert set(stamped.labels[9:].tolist()) != {target}, "clean images keep their own class"
    differs = (stamped.images != plain.images).flatten(1).any(1)
    assert differs.tolist() == [True] * 9 + [False] * 3


def test_attacks_with_one_target_share_the_vector_towards_it() -> None:
    attacks = {
        name: {"trigger": trigger, "target": target}
        for name, trigger, target in (
            ("a", "badnets", "red circle"), ("b", "blended", "red circle"), ("c", "blended", "blue square"),
        )
    }  # fmt: skip
    stages = [stage_of(name, attacks=attacks, search={"axes": {"attack": list(attacks)}}) for name in attacks]
    towards = [stage.towards_vector.fingerprint for stage in stages]
    assert towards[0] == towards[1] != towards[2]
    assert len({stage.trigger_vector.fingerprint for stage in stages} | set(towards)) == 5
    assert len({stage.fingerprint for stage in stages}) == 3


def test_it_is_one_stage_for_all_forget_sets_and_has_no_part_of_the_infected_model() -> None:
    planner = Planner(spec(**WANTED))
    few, many = (planner.plan({"attack": "badnets", "forget_size": size}).graph for size in (10, 20))
    assert few.geometry == many.geometry
    assert few.geometry in few.outputs
    assert few.path != many.path
    assert few.geometry is not None
    kinds = {stage.kind for stage in stages_in_order([few.geometry])}
    assert kinds == {"corpus", "evaluation-set", "component-vector", "geometry", "scores"}, "scores of the clean model"
