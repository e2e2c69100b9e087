import dataclasses
import json
import math
import time
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from tbar_ray.errors import ScientificError
from tbar_ray.evaluation.zeroshot import zero_shot_head
from tbar_ray.models.factory import preprocessing
from tbar_ray.training.batch import Batch
from tbar_ray.training.loop import train
from tbar_ray.training.objectives import Classification, Contrastive, Objective
from tbar_ray.training.optimisation import learning_rate_at
from tbar_ray.training.options import Optimisation
from tbar_ray.training.record import TrainingRecord
from tests.models.tiny import BOTH, RESNET, VIT, changed, pictures, same, snapshot, tiny, tokenizer

NAMES = ["red circle", "blue square", "cat"]


def batches(model: nn.Module, count: int, size: int = 4) -> Iterator[Batch]:
    for number in range(count):
        labels = (torch.arange(size) + number) % 3
        tokens = tokenizer()([f"a {NAMES[label]}" for label in labels.tolist()])
        yield Batch(pictures(model, size, seed=number), tokens, labels)


def classification(model: nn.Module) -> Classification:
    return Classification(model, preprocessing(model), zero_shot_head(model, tokenizer(), NAMES, ["a {c}", "{c}"]))


def contrastive(model: nn.Module) -> Contrastive:
    return Contrastive(model, preprocessing(model))


class Scripted(Objective):
    """A loss of chosen values whose gradient moves the logit scale by a chosen amount."""

    def __init__(self, model: nn.Module, values: list[float], slope: float = 0.0) -> None:
        super().__init__(model, preprocessing(model))
        self.values, self.slope = iter(values), slope

    def loss(self, _: Batch) -> Tensor:
        scale = self.model.logit_scale
        return next(self.values) + self.slope * (scale - scale.detach())


FAST = Optimisation(learning_rate=1e-3)


@pytest.mark.parametrize("architecture", BOTH)
@pytest.mark.parametrize("kind", [classification, contrastive])
def test_training_twice_gives_the_same_bits(architecture: str, kind: type[Objective]) -> None:
    states = []
    for _ in range(2):
        model = tiny(architecture)
        train(kind(model), batches(model, 3), 3, FAST)
        states.append(snapshot(model))
    assert same(*states)
    assert not same(states[0], snapshot(tiny(architecture)))


def test_an_objective_is_given_the_whole_batch() -> None:
    model = tiny()
    given = next(batches(model, 1))
    given = dataclasses.replace(
        given, poisoned=torch.tensor([True, False, False, True]), keys=("a", "b", "c", "d"), after=(0, 4)
    )
    seen: list[Batch] = []

    class Watching(Scripted):
        def loss(self, batch: Batch) -> Tensor:
            seen.append(batch)
            return super().loss(batch)

    train(Watching(model, [1.0, 1.0]), [given, dataclasses.replace(given, poisoned=None)], 2, FAST)
    for field in dataclasses.fields(Batch):
        there, wanted = getattr(seen[0], field.name), getattr(given, field.name)
        assert torch.equal(there, wanted) if isinstance(wanted, Tensor) else there == wanted
    assert seen[1].poisoned is None


def test_the_loss_falls_on_a_batch_seen_again_and_again() -> None:
    model = tiny()
    batch = next(batches(model, 1, size=6))
    record = train(classification(model), [batch] * 20, 20, Optimisation(learning_rate=3e-3))
    assert record.losses[-1][1] < 0.8 * record.losses[0][1]


def test_classification_changes_the_image_tower_only() -> None:
    model = tiny(RESNET)
    before = snapshot(model)
    train(classification(model), batches(model, 2), 2, FAST)
    moved = changed(before, snapshot(model))
    assert moved
    assert all(key.startswith("visual.") for key in moved)


def test_contrastive_training_changes_both_towers() -> None:
    model = tiny()
    before = snapshot(model)
    train(contrastive(model), batches(model, 2), 2, FAST)
    assert {"visual.proj", "text_projection", "logit_scale"} <= changed(before, snapshot(model))


@pytest.mark.parametrize("freeze", [True, False])
def test_frozen_batch_norm_keeps_its_statistics_and_trains_its_gains(freeze: bool) -> None:
    model = tiny(RESNET)
    before = snapshot(model)
    train(classification(model), batches(model, 2), 2, FAST, freeze_batch_norm=freeze)
    moved = changed(before, snapshot(model))
    statistics = {key for key in before if "running_" in key or "num_batches" in key}
    assert (moved & statistics) == (set() if freeze else statistics)
    assert "visual.bn1.weight" in moved


@pytest.mark.parametrize("ends_badly", [False, True])
def test_gradients_and_modes_are_put_back(ends_badly: bool) -> None:
    model = tiny(RESNET)
    model.token_embedding.weight.requires_grad_(False)  # frozen by the caller: stays so
    wanted = {name: p.requires_grad for name, p in model.named_parameters()}
    seen: list[dict[str, bool]] = []

    def note(*_: object) -> None:
        seen.append({name: p.requires_grad for name, p in model.named_parameters()})
        if ends_badly:
            raise KeyboardInterrupt

    if ends_badly:
        with pytest.raises(KeyboardInterrupt):
            train(classification(model), batches(model, 2), 2, FAST, progress=note)
    else:
        train(classification(model), batches(model, 2), 2, FAST, progress=note)
    assert all(grad == name.startswith("visual.") for name, grad in seen[0].items())
    assert {name: p.requires_grad for name, p in model.named_parameters()} == wanted
    assert not any(module.training for module in model.modules())
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize(("start", "slope", "end"), [(4.6, -1.0, math.log(100)), (0.01, 1.0, 0.0)])
def test_the_logit_scale_stays_between_one_and_a_hundred(start: float, slope: float, end: float) -> None:
    model = tiny()
    with torch.no_grad():
        model.logit_scale.fill_(start)
    options = Optimisation(learning_rate=0.1, schedule="constant")
    train(Scripted(model, [1.0, 1.0], slope), batches(model, 2), 2, options)
    assert float(model.logit_scale.detach()) == pytest.approx(end, abs=1e-6)


def test_a_logit_scale_that_is_not_trained_is_not_clamped() -> None:
    model = tiny()
    with torch.no_grad():
        model.logit_scale.fill_(4.77)  # SigLIP's is above ln 100
    before = snapshot(model)
    train(classification(model), batches(model, 1), 1, FAST)
    assert all(key.startswith("visual.") for key in changed(before, snapshot(model)))


@pytest.mark.parametrize(
    ("losses", "reason"),
    [
        ([float("nan")], "loss is nan by step 1;"),
        ([float("inf")], "loss is inf by step 1;"),
        ([1.0] * 5 + [float("nan")] + [1.0] * 9, "loss is nan by step 11;"),
        ([2.0] + [25.0] * 10, r"loss 25\.0 at step 11 from 2\.00 at the start;"),
        ([0.01] + [10.5] * 10, r"loss 10\.5 at step 11 from 0\.01"),
    ],
)
def test_a_diverged_training_stops_with_the_reason(losses: list[float], reason: str) -> None:
    model = tiny()
    with pytest.raises(ScientificError, match=f"^training diverged: {reason} ?.*lower the learning rate$"):
        train(Scripted(model, losses), batches(model, len(losses), 1), len(losses), FAST)
    assert all(p.requires_grad for p in model.parameters())


def test_a_loss_that_rises_less_than_tenfold_is_no_divergence() -> None:
    model = tiny()
    record = train(Scripted(model, [2.0] + [19.0] * 10), batches(model, 11, 1), 11, FAST)
    assert record.losses == [(1, 2.0), (11, 19.0)]


def test_weights_that_were_frozen_are_not_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny(RESNET)
    looked: list[set[str]] = []
    monkeypatch.setattr(TrainingRecord, "check_weights", lambda _, state: looked.append(set(state)))
    train(classification(model), batches(model, 1), 1, FAST)
    assert looked == [{name for name in model.state_dict() if name.startswith("visual.")}]
    train(contrastive(model), batches(model, 1), 1, FAST)
    assert looked[1] == set(model.state_dict())


def test_weights_that_are_not_finite_diverge() -> None:
    model = tiny()
    objective = classification(model)
    with torch.no_grad():
        model.visual.proj[0, 0] = float("nan")
    with pytest.raises(ScientificError, match="loss is nan by step 1"):
        train(objective, batches(model, 3), 3, FAST)


def test_the_record_counts_steps_samples_and_every_look() -> None:
    model = tiny()
    seen: list[tuple[int, int, float, float]] = []
    values = [float(number) / 10 for number in range(14)]
    record = train(Scripted(model, values), batches(model, 14, 3), 14, FAST, progress=lambda *look: seen.append(look))
    assert (record.steps, record.samples) == (14, 42)
    assert [step for step, _ in record.losses] == [1, 11, 14]
    assert [loss for _, loss in record.losses] == pytest.approx([0.0, sum(values[1:11]) / 10, 1.2], abs=1e-6)
    assert [look[:2] for look in seen] == [(1, 14), (11, 14), (14, 14)]
    assert all(look[3] > 0 for look in seen)
    assert record.images_per_second == pytest.approx(42 / record.seconds)
    assert json.loads(json.dumps(record.to_dict()))["samples"] == 42


def test_the_time_without_a_batch_is_told() -> None:
    model = tiny()

    def slow() -> Iterator[Batch]:
        for batch in batches(model, 4, 2):
            time.sleep(0.03)
            yield batch

    record = train(Scripted(model, [1.0] * 4), slow(), 4, FAST)
    assert 0.12 <= record.waiting < record.seconds
    assert record.to_dict()["waiting_share"] == record.waiting_share == record.waiting / record.seconds
    assert train(Scripted(model, []), [], 4, FAST).waiting_share < 1


def test_a_source_that_ends_early_ends_the_training_and_its_losses_are_kept() -> None:
    model = tiny()
    record = train(Scripted(model, [1.0, 2.0, 4.0]), batches(model, 3, 2), 50, FAST)
    assert (record.steps, record.samples) == (3, 6)
    assert record.losses == [(1, 1.0), (3, 3.0)]


def test_no_more_batches_are_taken_than_there_are_steps() -> None:
    model = tiny()
    source = batches(model, 5, 1)
    train(Scripted(model, [1.0] * 5), source, 2, FAST)
    assert len(list(source)) == 3


def test_no_batches_change_nothing() -> None:
    model = tiny()
    before = snapshot(model)
    record = train(contrastive(model), [], 5, FAST)
    assert (record.steps, record.images_per_second, record.losses) == (0, 0.0, [])
    assert same(before, snapshot(model))


def test_the_scheduled_rate_is_the_one_applied() -> None:
    model = tiny(VIT)
    with torch.no_grad():
        model.logit_scale.fill_(2.0)
    options = Optimisation(learning_rate=0.01, warmup_steps=2, weight_decay=0)
    train(Scripted(model, [1.0] * 5, 1.0), batches(model, 5, 1), 5, options)
    # under a constant gradient every step of Adam is the learning rate long
    walked = sum(learning_rate_at(step, 5, options) for step in range(5))
    assert float(model.logit_scale.detach()) == pytest.approx(2.0 - walked, abs=1e-4)


def test_gradients_are_clipped_to_the_norm() -> None:
    ends = []
    for slope in (1.0, 1000.0):
        model = tiny()
        with torch.no_grad():
            model.logit_scale.fill_(2.0)
        options = Optimisation(learning_rate=0.01, clip_norm=1e-6)
        train(Scripted(model, [1.0], slope), batches(model, 1, 1), 1, options)
        ends.append(float(model.logit_scale.detach()))
    # clipped to Adam's epsilon the first step is half as long; unclipped it would be 0.01
    assert ends == pytest.approx([1.995, 1.995], abs=1e-4)


class Watching(Classification):
    """Notes how the convolutions' weights lie while it trains."""

    last: bool | None = None

    def loss(self, batch: Batch) -> Tensor:
        weight = self.model.visual.layer1[0].conv2.weight
        self.last = weight.is_contiguous(memory_format=torch.channels_last)
        return super().loss(batch)


@pytest.mark.parametrize(("layout", "last"), [("auto", True), ("channels-last", True), ("contiguous", False)])
def test_convolutions_lie_as_they_were_asked_to(layout: str, last: bool) -> None:
    model = tiny(RESNET)
    objective = Watching(model, preprocessing(model), zero_shot_head(model, tokenizer(), NAMES, ["a {c}"]))
    train(objective, batches(model, 1), 1, Optimisation.model_validate({"learning_rate": 1e-3, "layout": layout}))
    assert objective.last is last
    assert model.visual.layer1[0].conv2.weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("architecture", BOTH)
def test_a_look_after_every_step_sees_that_step_and_changes_nothing(architecture: str) -> None:
    plain, looked_at = tiny(architecture), tiny(architecture)
    train(classification(plain), batches(plain, 3), 3, FAST)
    seen: list[tuple[int, dict[str, Tensor]]] = []

    def look(step: int) -> None:
        seen.append((step, snapshot(looked_at)))
        zero_shot_head(looked_at, tokenizer(), NAMES, ["a {c}"])  # in evaluation mode
        assert looked_at.training

    train(classification(looked_at), batches(looked_at, 3), 3, FAST, after=look)
    assert same(snapshot(plain), snapshot(looked_at))
    assert [step for step, _ in seen] == [1, 2, 3]
    assert same(seen[2][1], snapshot(looked_at))
    assert not same(seen[0][1], seen[1][1])
