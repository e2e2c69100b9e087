import dataclasses
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import nn

from tbar_ray.errors import ResumeError
from tbar_ray.models.factory import preprocessing
from tbar_ray.training.batch import Batch
from tbar_ray.training.loop import Keeper, train
from tbar_ray.training.objectives import Contrastive
from tbar_ray.training.options import Optimisation
from tbar_ray.training.resume import TrainingCheckpoint
from tests.models.tiny import BOTH, RESNET, pictures, same, snapshot, tiny, tokenizer

STEPS = 23
OPTIONS = Optimisation(learning_rate=1e-3, warmup_steps=3)


def batches(model: nn.Module, first: int = 0) -> Iterator[Batch]:
    for number in range(first, STEPS):
        tokens = tokenizer()([f"a {number} {row}" for row in range(4)])
        yield Batch(pictures(model, 4, seed=number), tokens, after=(0, 4 * (number + 1)))


def objective_of(model: nn.Module) -> Contrastive:
    return Contrastive(model, preprocessing(model))


@cache
def first() -> TrainingCheckpoint:
    """The checkpoint that a training of two steps leaves, after the first; not to be changed."""
    found: list[TrainingCheckpoint] = []
    model = tiny()
    train(objective_of(model), batches(model), 2, OPTIONS, keeper=Keeper(found.append, 0))
    (only,) = found
    return only


@pytest.mark.parametrize("architecture", BOTH)
def test_a_training_goes_on_from_any_checkpoint_to_the_same_bits(architecture: str, tmp_path: Path) -> None:
    kept: list[Path] = []

    def keep(checkpoint: TrainingCheckpoint) -> None:
        kept.append(tmp_path / f"{len(kept)}.pt")
        checkpoint.save(kept[-1])

    model = tiny(architecture)
    whole = train(objective_of(model), batches(model), STEPS, OPTIONS, keeper=Keeper(keep, 0))
    assert whole.resumed == []
    assert len(kept) == 3  # after the first step, and at two more looks at the loss before the last
    for path in kept:
        other = tiny(architecture)
        start = TrainingCheckpoint.load(path)
        assert start.position == (0, 4 * start.record.steps)
        rest = train(objective_of(other), batches(other, start.record.steps), STEPS, OPTIONS, start=start)
        assert same(snapshot(model), snapshot(other))
        assert rest.losses == whole.losses
        assert (rest.steps, rest.samples) == (whole.steps, whole.samples)
        assert rest.resumed == [start.record.steps]
        assert rest.seconds >= start.record.seconds


def test_a_checkpoint_is_whole_or_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    first().save(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["checkpoint.pt"]
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ResumeError, match="is no checkpoint of a training"):
        TrainingCheckpoint.load(path)
    torch.save({"format": 99}, path)
    with pytest.raises(ResumeError, match="of another format"):
        TrainingCheckpoint.load(path)
    other = tiny(RESNET)
    with pytest.raises(ResumeError, match="of another training"):
        train(objective_of(other), batches(other), STEPS, OPTIONS, start=first())


def test_nothing_in_a_checkpoint_is_executed(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return exec, ("raise AssertionError('executed')",)

    torch.save({"format": 1, "model": Evil()}, tmp_path / "evil.pt")
    with pytest.raises(ResumeError, match="is no checkpoint"):
        TrainingCheckpoint.load(tmp_path / "evil.pt")


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("position", ("0", 0)),
        ("position", (-1, 0)),
        ("skipped", ((1, "reason"),)),
        ("source", 3),
        ("model", {"weight": 1}),
        ("record", {"steps": "many"}),
        ("record", {"losses": [(1, "low")]}),
    ],
)
def test_parts_of_other_kinds_are_refused(part: str, value: object, tmp_path: Path) -> None:
    whole = {"format": 1, **vars(first()), "record": vars(first().record), "skipped": (("a", "b"),)}
    torch.save(whole, tmp_path / "whole.pt")
    TrainingCheckpoint.load(tmp_path / "whole.pt")
    torch.save({**whole, part: value}, tmp_path / "other.pt")
    with pytest.raises(ResumeError, match="is no checkpoint of a training"):
        TrainingCheckpoint.load(tmp_path / "other.pt")


def test_moments_of_another_shape_are_refused() -> None:
    model, broken = tiny(), deepcopy(first())
    broken.optimizer["state"][0]["exp_avg"] = torch.zeros(3, 1, 4)
    with pytest.raises(ResumeError, match="of another training: exp_avg has another shape"):
        train(objective_of(model), batches(model), STEPS, OPTIONS, start=broken)


@pytest.mark.parametrize("layout", ["contiguous", "channels-last"])
def test_a_chosen_layout_goes_on_likewise(layout: str, tmp_path: Path) -> None:
    options, steps = OPTIONS.model_copy(update={"layout": layout}), 13  # two after the second look at the loss
    found: list[Path] = []

    def keep(checkpoint: TrainingCheckpoint) -> None:
        found.append(tmp_path / f"{len(found)}.pt")
        checkpoint.save(found[-1])

    model, other = tiny(RESNET), tiny(RESNET)
    strides = {name: value.stride() for name, value in model.state_dict().items()}
    train(objective_of(model), batches(model), steps, options, keeper=Keeper(keep, 0))
    start = TrainingCheckpoint.load(found[1])
    train(objective_of(other), batches(other, start.record.steps), steps, options, start=start)
    assert same(snapshot(model), snapshot(other))
    assert {name: value.stride() for name, value in model.state_dict().items()} == strides
    assert dataclasses.asdict(start.record)["steps"] == 11
