"""What the coordinator is told of a stage."""

from __future__ import annotations

from typing import ClassVar

import pytest

from tbar_ray.execution.calls import PROCESS, call_of
from tbar_ray.models.architectures import weights_size
from tbar_ray.spec.attack import Training
from tbar_ray.stages.data import GivenData, Mixture
from tbar_ray.stages.models import CleanModel
from tbar_ray.stages.node import Node, Policy, Stage

POLICY = Policy(gpus=0.25, training_workers=4)
SIZES = (("a", 9), ("b", 7))


class Plain(Stage):
    kind: ClassVar[str] = "plain"

    data: Node | None = None


class Scored(Plain):
    kind: ClassVar[str] = "scored"
    on_model: ClassVar[bool] = True


class Trained(Scored):
    kind: ClassVar[str] = "trained"
    divisible: ClassVar[bool] = True


@pytest.mark.parametrize(
    ("kind", "gpus", "workers"),
    [(Plain, 0, 1), (Scored, 0.25, 1), (Trained, 0.25, 4)],
    ids=["plain", "scored", "trained"],
)
def test_a_stage_is_given_the_gpus_and_workers_that_it_can_use(kind: type[Stage], gpus: float, workers: int) -> None:
    assert call_of(kind(), POLICY).policy == Policy(gpus=gpus, training_workers=workers)


def test_trainings_take_whole_gpus_while_other_stages_share_one() -> None:
    policy = Policy(gpus=0.25, training_gpus=1)
    assert [call_of(kind(), policy).policy.gpus for kind in (Plain, Scored, Trained)] == [0, 0.25, 1]
    assert call_of(Trained(), Policy(gpus=1, training_gpus=0)).policy.gpus == 0


def test_given_data_of_known_size_are_what_its_node_has_read() -> None:
    known, other = (GivenData(place=f"s3://bucket/{name}", content=name, size=size) for name, size in SIZES)
    unknown = GivenData(place="pipe:cat", content="c")
    assert call_of(Plain(data=known), POLICY).reads == {known.fingerprint: 9}
    assert call_of(Plain(data=unknown), POLICY).reads == {}
    both = Mixture(parts=(known, unknown, other), weights=(1, 1, 1))
    assert call_of(Plain(data=both), POLICY).reads == {known.fingerprint: 9, other.fingerprint: 7}
    assert known.fingerprint == known.model_copy(update={"size": 1}).fingerprint


def test_memory_is_that_of_a_process_the_weights_and_the_batches_read_ahead() -> None:
    assert call_of(Plain(), POLICY).memory == PROCESS
    clean = CleanModel(
        architecture="tbar-ViT-tiny", corpus=GivenData(place="a", content="a"), seed=0, on_error="warn",
        training=Training(batch_size=64),
    )  # fmt: skip
    weights, image = weights_size("tbar-ViT-tiny"), 3 * 48**2
    assert call_of(clean, Policy(readers=2)).memory == PROCESS + 5 * weights + 10 * 64 * image
    assert call_of(clean, Policy(readers=2, training_workers=4)).memory == PROCESS + 5 * weights + 10 * 16 * image
    assert clean.disk == 4 * weights
