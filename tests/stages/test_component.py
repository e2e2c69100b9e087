"""Samples of the vectors of a disentanglement map, of data in which only some samples have a class."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tbar_ray.data.synthetic.options import WritingOptions
from tbar_ray.data.synthetic.synth import write_corpus, write_evaluation_set
from tbar_ray.errors import DataError
from tbar_ray.models.factory import create_model, preprocessing
from tbar_ray.planning.planner import Planner
from tbar_ray.stages.component import ComponentVector
from tbar_ray.stages.samples import open_evaluation
from tbar_ray.store.store import Store
from tbar_ray.training.batch import Batch
from tests.data.tars import write_tar
from tests.specs import spec


def trigger_vector(**data: Any) -> ComponentVector:
    wanted = spec(
        data=data,
        model={"architecture": "tbar-GN-pico", "pretrained": "scenes"},
        disentanglement={"points": 3, "images": 20, "samples": 20, "clean_fraction": 0.5},
    )
    found = Planner(wanted).plan({"attack": "blended"}).graph.geometry
    assert found is not None
    return found.trigger_vector


def samples_of(stage: ComponentVector, store: Store) -> Batch:
    data = open_evaluation(stage.evaluation, store)
    return stage._samples(store, data, preprocessing(create_model("tbar-GN-pico")))


@pytest.fixture
def rich(tmp_path: Path) -> Path:
    """Scenes of one and of several objects; the latter have no class."""
    write_corpus(tmp_path / "train", WritingOptions(size=64, workers=1), samples=60, scenes="rich")
    write_evaluation_set(tmp_path / "eval", WritingOptions(size=64, workers=1), per_class=1, scenes="rich")
    return tmp_path


def test_clean_samples_of_the_triggers_vector_are_those_that_have_a_class(rich: Path, tmp_path: Path) -> None:
    stage = trigger_vector(train=str(rich / "train"), evaluation=str(rich / "eval"))
    found = samples_of(stage, Store(str(tmp_path / "store")))
    assert found.labels is not None
    assert len(found.labels) == 20
    assert len(set(found.labels[10:].tolist())) > 1, "the clean samples keep their own classes"


def test_data_without_any_class_are_refused(rich: Path, tmp_path: Path) -> None:
    members = []
    with tarfile.open(rich / "train" / "00000.tar") as tar:
        for member in tar:
            content = tar.extractfile(member)
            assert isinstance(content, io.BufferedReader)
            raw = content.read()
            if member.name.endswith(".json"):
                facts = json.loads(raw)
                raw = json.dumps({name: value for name, value in facts.items() if name != "label"}).encode()
            members.append((member.name, raw))
    write_tar(rich / "train" / "00000.tar", members)
    stage = trigger_vector(train=str(rich / "train"), evaluation=str(rich / "eval"))
    with pytest.raises(DataError, match=r"no clean sample has a class label.*set disentanglement.clean_fraction: 0"):
        samples_of(stage, Store(str(tmp_path / "store")))
