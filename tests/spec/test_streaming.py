"""What a spec says of streaming and training: several corpora, buffers, micro-batches, augmentation, pruning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from tbar_ray.data.synthetic.options import WritingOptions
from tbar_ray.data.synthetic.synth import write_corpus, write_evaluation_set
from tbar_ray.planning.planner import Planner
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.stages.data import GivenData, Mixture
from tbar_ray.stages.models import CleanModel
from tbar_ray.stages.samples import open_corpus, order_of
from tbar_ray.store.store import Store
from tests.specs import spec

MICRO = {"epochs": 1, "micro_batch": 8}
TASK = {"shapes": {"url": "/data/shapes"}}
ATTACK = {"trigger": "badnets", "target": "red circle"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"poison__training": MICRO, "attacks": {"a": {**ATTACK, "task": "shapes"}}, "tasks": TASK}, "micro_batch"),
        ({"poison__training": MICRO, "attacks": {"a": {**ATTACK, "planting": {"method": "stealth"}}}}, "micro_batch"),
        ({"poison__training": {"micro_batch": 1}}, "greater than or equal to 2"),
        ({"disentanglement": {"training": {"micro_batch": 4}}}, "for trainings on shards"),
        ({"disentanglement": {"training": {"augmentation": {}}}}, "for trainings on shards"),
        ({"data": {"train": [], "evaluation": "e"}}, "the list is empty"),
        ({"data": {"train": [{"url": "a", "weight": 0}], "evaluation": "e"}}, "greater than 0"),
        ({"search__prune": True}, "a grid shows every cell"),
        (
            {"search": {"sampler": "tpe", "trials": 2, "objective": "tradeoff", "prune": True, "axes": {"seed": [0]}}},
            "only objective asr",
        ),
        ({"resources__checkpoint_minutes": -1}, "greater than or equal to 0"),
    ],
)
def test_what_cannot_be_done_is_refused(changes: dict[str, Any], message: str) -> None:
    attacks = changes.get("attacks")
    axes = {"search__axes": {"attack": list(attacks)}} if attacks else {}
    with pytest.raises(ValidationError, match=message):
        spec(**{**changes, **axes})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpora")
    write_corpus(folder / "a", WritingOptions(size=16, samples_per_shard=10, workers=1), samples=20)
    write_corpus(folder / "b", WritingOptions(size=16, samples_per_shard=10, seed=1, workers=1), samples=12)
    write_evaluation_set(folder / "eval", WritingOptions(size=16, workers=1), per_class=2)
    return folder


def mixed(folder: Path, *weights: float, **data: Any) -> CampaignSpec:
    train = [{"url": str(folder / name), "weight": weight} for name, weight in zip("ab", weights, strict=True)]
    return spec(data={"train": train, "evaluation": str(folder / "eval"), **data}, poison__rate=0.1)


def clean_model(made: CampaignSpec) -> CleanModel:
    stage = Planner(made).grid()[0].graph.clean.model
    assert isinstance(stage, CleanModel)
    return stage


def test_several_corpora_are_one_with_weights(folder: Path, tmp_path: Path) -> None:
    stage = clean_model(mixed(folder, 1.0, 2.5))
    assert isinstance(stage.corpus, Mixture)
    corpus, weights = open_corpus(stage.corpus, Store(str(tmp_path)), "error")
    assert len(corpus) == len(set(corpus.keys)) == 32
    assert weights is not None
    assert weights.tolist() == [1.0] * 20 + [2.5] * 12
    order = order_of(corpus, np.arange(5, 32), 0, weights)
    counts = np.bincount(np.concatenate([order.epoch(epoch) for epoch in (0, 1)]), minlength=32)
    assert counts.tolist() == [0] * 5 + [2] * 15 + [5] * 12
    only = open_corpus(GivenData(place=str(folder / "a"), content="x"), Store(str(tmp_path)), "error")
    assert only[1] is None


def test_weights_and_buffer_are_part_of_what_a_model_means_and_checkpoints_are_not(folder: Path) -> None:
    made = mixed(folder, 1.0, 2.5)
    prints = {
        clean_model(variant).fingerprint
        for variant in (made, mixed(folder, 1.0, 2.0), mixed(folder, 1.0, 2.5, shuffle_buffer=4))
    }
    assert len(prints) == 3
    often = made.model_copy(update={"resources": made.resources.model_copy(update={"checkpoint_minutes": 0.1})})
    assert clean_model(often).fingerprint == clean_model(made).fingerprint


def test_a_buffer_keeps_shards_together(folder: Path, tmp_path: Path) -> None:
    corpus, _ = open_corpus(GivenData(place=str(folder / "a"), content="x"), Store(str(tmp_path)), "error")
    order = order_of(corpus, np.arange(20), 0, None, 1)
    epoch = order.epoch(0)
    assert sorted(epoch.tolist()) == list(range(20))
    assert len(set((epoch[:10] // 10).tolist())) == 1
