"""Trainings on shards by two workers: the stage's own process and an actor, which read shares of the same batches."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
import ray
import torch

from tbar_ray.data.synthetic.options import WritingOptions
from tbar_ray.data.synthetic.synth import write_corpus, write_evaluation_set
from tbar_ray.errors import DataError, SpecError
from tbar_ray.execution.calls import calls_for
from tbar_ray.execution.coordinator import Coordinator
from tbar_ray.execution.stage_task import compute
from tbar_ray.models.checkpoint import load_state_dict
from tbar_ray.planning.planner import Planner
from tbar_ray.stages import helpers
from tbar_ray.stages.helpers import Helper
from tbar_ray.stages.lost import StageLostError
from tbar_ray.stages.models import CleanModel
from tbar_ray.stages.node import Policy
from tbar_ray.stages.shard_training import ShardTraining
from tbar_ray.stages.training import WEIGHTS
from tbar_ray.store.store import Store
from tests.data.tars import write_tar
from tests.specs import spec

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("local_ray"), pytest.mark.timeout(900)]

EPOCHS = 4
"""Of four batches each: a training is looked at, and keeps a checkpoint, after steps 1 and 11."""
SAMPLES = EPOCHS * 22
ONE, TWO = Policy(readers=1, checkpoint_minutes=0), Policy(readers=1, checkpoint_minutes=0, training_workers=2)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Given data of 23 samples, of which one has a broken image: batches of 6 are divided unequally now and then."""
    folder = tmp_path_factory.mktemp("given")
    write_corpus(folder / "whole", WritingOptions(size=64, samples_per_shard=23, workers=1), samples=23)
    write_evaluation_set(folder / "eval", WritingOptions(size=64, workers=1), per_class=1)
    (folder / "train").mkdir()
    members: list[tuple[str, bytes]] = []
    with tarfile.open(folder / "whole" / "00000.tar") as tar:
        for member in tar:
            content = tar.extractfile(member)
            assert content is not None
            broken = member.name.endswith(".jpg") and not any(name.endswith(".jpg") for name, _ in members)
            members.append((member.name, b"\xff\xd8\xff broken" if broken else content.read()))
    write_tar(folder / "train" / "00000.tar", members)
    return folder


def clean_model(data: Path, architecture: str = "tbar-ViT-tiny", **changes: Any) -> CleanModel:
    training = {
        "epochs": EPOCHS, "batch_size": 6, "augmentation": {"crop": [0.5, 1.0], "mirror": 0.5},
        "optimisation": {"learning_rate": 1e-3, "warmup_steps": 1},
    }  # fmt: skip
    made = spec(
        data={"train": str(data / "train"), "evaluation": str(data / "eval")},
        model={"architecture": architecture, "training": training},
        attacks={"one": {"trigger": "badnets", "target": "blue bar"}},
        search={},
        resources={"training_cpus": 1},
        **changes,
    )
    stage = Planner(made).foundation().clean
    assert isinstance(stage, CleanModel)
    return stage


def weights(store: Store, stage: CleanModel) -> dict[str, torch.Tensor]:
    return load_state_dict(store.fetch(stage.artifact) / WEIGHTS)


@pytest.fixture(scope="module")
def alone(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store with the model that one worker trains without a stop."""
    store = Store(str(tmp_path_factory.mktemp("alone")))
    facts = compute(clean_model(data), store, policy=ONE)
    assert facts["workers"] == 1
    assert facts["training"]["samples"] == SAMPLES
    assert len(facts["problems"]) == 1
    return store


def check_same(stage: CleanModel, store: Store, alone: Store) -> None:
    """Check that a training which was stopped has read and learned what one worker does without a stop."""
    found, expected = (each.facts(stage.artifact)["facts"] for each in (store, alone))
    assert found["training"]["samples"] == SAMPLES
    assert found["problems"] == expected["problems"]
    torch.testing.assert_close(weights(store, stage), weights(alone, stage), rtol=1e-3, atol=2e-4)


class StoppedError(Exception):
    """What stops a training in a test."""


def stop(facts: dict[str, Any]) -> None:
    if facts.get("done") == 11:
        raise StoppedError


def test_two_workers_with_room_from_the_coordinator_go_on_from_the_checkpoint_of_one(
    data: Path, alone: Store, tmp_path: Path
) -> None:
    stage, store = clean_model(data), Store(str(tmp_path))
    with pytest.raises(StoppedError):
        compute(stage, store, stop, ONE)
    coordinator = ray.remote(Coordinator).options(num_cpus=0, max_concurrency=9).remote(store)
    try:
        ray.get(coordinator.submit.remote("trial", [stage.fingerprint], calls_for([stage], TWO)))
        assert ray.get(coordinator.wait_for.remote("trial"), timeout=600) is None
        ended = ray.get(coordinator.snapshot.remote()).ended
        assert [(status.title, status.state) for status in ended] == [("clean tbar-ViT-tiny", "done")]
    finally:
        ray.kill(coordinator)
    facts = store.facts(stage.artifact)["facts"]
    assert facts["workers"] == 2
    assert facts["training"]["resumed"] == [1]
    check_same(stage, store, alone)


def test_all_workers_end_with_what_one_of_them_cannot_read(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"sample .*unreadable image.*set data.on_error: warn"):
        compute(clean_model(data, data__on_error="error"), Store(str(tmp_path)), policy=TWO)


def test_batches_of_batch_norm_are_not_divided(data: Path, tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"^resources.training_workers: .*BatchNorm"):
        compute(clean_model(data, "tbar-RN-pico"), Store(str(tmp_path)), policy=TWO)


class Dying(Helper):
    """A helper whose process ends in the twelfth step."""

    def train(self, training: ShardTraining, *rest: Any) -> None:
        def at(step: int) -> None:
            if step == 12:
                os._exit(1)

        training.objective.at = at  # type: ignore[method-assign]
        super().train(training, *rest)


def test_a_lost_worker_leaves_the_checkpoint_that_one_goes_on_from(
    data: Path, alone: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, stage = Store(str(tmp_path)), clean_model(data)
    with monkeypatch.context() as patch:
        patch.setattr(helpers, "Helper", Dying)
        with pytest.raises(StageLostError):
            compute(stage, store, policy=TWO)
    assert store.artifacts() == []
    facts = compute(stage, store, policy=ONE)
    assert facts["workers"] == 1
    assert facts["training"]["resumed"] == [11]
    check_same(stage, store, alone)
