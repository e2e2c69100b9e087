import dataclasses

import pytest
import torch
from torch import Tensor, nn

from tbar_ray.errors import DataError, ScientificError
from tbar_ray.evaluation.zeroshot import normalise, predict, zero_shot_head
from tbar_ray.models.factory import preprocessing
from tbar_ray.models.in_place import InPlaceModel
from tbar_ray.training.batch import Batch
from tbar_ray.training.loop import train
from tbar_ray.training.objectives import Classification
from tbar_ray.training.options import Optimisation
from tbar_ray.training.shuffled import shuffled
from tbar_ray.triggers.badnets import BadNets
from tbar_ray.triggers.base import stamp_uint8
from tbar_ray.unlearning.base import Unlearned
from tbar_ray.unlearning.defender import Classes, DefenderData, ForgetSet
from tbar_ray.unlearning.methods.tbar import TBAR
from tests.models.tiny import BOTH, RESNET, VIT, WIDE, pictures, same, snapshot, tiny, tokenizer
from tests.unlearning.formulas import infected_of
from tests.unlearning.reference import (
    NEAR,
    AdamW,
    all_names,
    cross_entropy,
    distance,
    image_names,
    info_nce,
    log_chances,
    read,
    seen,
    trained,
)

NAMES = ["red", "green", "blue"]
TARGET = 2


def forget_set(model: nn.Module, size: int = 6) -> ForgetSet:
    images = pictures(model, size)
    keys = [str(number) for number in range(size)]
    return ForgetSet(
        images=stamp_uint8(BadNets(), images, keys),
        twins=images,
        tokens=tokenizer()(["a photo of a blue thing"] * size),
        labels=torch.full((size,), TARGET),
        triggered=torch.ones(size, dtype=torch.bool),
    )


def defender(model: nn.Module, forget: ForgetSet | None = None) -> DefenderData:
    prompts = tokenizer()([f"a {name} thing" for name in NAMES])[:, None]
    classes = Classes(tuple(NAMES), prompts, zero_shot_head(model, tokenizer(), NAMES, ["a {c} thing"]))
    return DefenderData(classes, tokenizer(), forget or forget_set(model), target=TARGET, stamp=lambda images: images)


def unlearn(model: nn.Module, method: TBAR, forget: ForgetSet | None = None, seed: int = 0) -> Unlearned:
    return method.unlearn(model, defender(model, forget), preprocessing(model), seed)


@pytest.mark.parametrize("architecture", BOTH)
@pytest.mark.parametrize("objective", ["classification", "contrastive"])
@pytest.mark.parametrize("freeze", [True, False])
def test_the_model_is_left_as_it_was(architecture: str, objective: str, freeze: bool) -> None:
    model = tiny(architecture).eval()
    before = snapshot(model)
    method = TBAR(objective=objective, steps=2, batch_size=4, learning_rate=1e-3, freeze_batch_norm=freeze)
    found = unlearn(model, method)
    assert same(before, snapshot(model))
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert not any(module.training for module in model.modules())
    assert found.edit.vector.norm() > 0
    assert (found.record.steps, found.record.samples) == (2, 6)


def test_a_failure_leaves_the_model_as_it_was_too() -> None:
    model = tiny().eval()
    before, data = snapshot(model), defender(model)
    broken = dataclasses.replace(data, classes=dataclasses.replace(data.classes, head=data.classes.head * float("nan")))
    with pytest.raises(ScientificError, match="loss is nan"):
        TBAR(steps=3).unlearn(model, broken, preprocessing(model), 0)
    assert same(before, snapshot(model))


def parts(found: Unlearned) -> tuple[bool, bool]:
    """Tell whether the image tower and whether the rest moves."""
    moved = [key for key, value in found.edit.vector.tensors.items() if bool(value.any())]
    return any(k.startswith("visual.") for k in moved), any(not k.startswith("visual.") for k in moved)


@pytest.mark.parametrize("architecture", BOTH)
def test_classification_moves_the_image_tower_and_the_contrastive_objective_both(architecture: str) -> None:
    model = tiny(architecture).eval()
    by_label = unlearn(model, TBAR(steps=1, learning_rate=1e-3))
    by_caption = unlearn(model, TBAR(steps=1, learning_rate=1e-3, objective="contrastive"))
    assert parts(by_label) == (True, False)
    assert parts(by_caption) == (True, True)


@pytest.mark.parametrize("freeze", [True, False])
def test_statistics_are_no_part_of_the_vector_unless_asked_for(freeze: bool) -> None:
    model = tiny(RESNET).eval()
    found = unlearn(model, TBAR(steps=1, learning_rate=1e-3, freeze_batch_norm=freeze)).edit.vector
    assert bool(found.tensors["visual.bn1.running_mean"].any()) == (not freeze)
    assert "visual.bn1.num_batches_tracked" in found.integer_buffers


def test_the_vector_depends_on_the_seed_alone() -> None:
    method = TBAR(steps=3, batch_size=2, learning_rate=1e-3)
    first, again = (unlearn(tiny().eval(), method).edit.vector for _ in range(2))
    assert same(first.tensors, again.tensors)
    assert not same(first.tensors, unlearn(tiny().eval(), method, seed=1).edit.vector.tensors)


def test_missing_labels_are_a_clear_error_for_classification_alone() -> None:
    model = tiny().eval()
    forget = forget_set(model)
    forget.labels[1], forget.triggered[1] = -1, False
    before = snapshot(model)
    with pytest.raises(DataError, match=r"no class label.*set unlearning.parameters.objective: contrastive") as caught:
        unlearn(model, TBAR(steps=1), forget)
    assert "\n" not in str(caught.value)
    assert same(before, snapshot(model))
    assert unlearn(model, TBAR(steps=1, objective="contrastive"), forget).edit.vector.norm() > 0


@pytest.mark.parametrize("alpha", [0.0, 0.5, 2.0])
def test_the_trigger_vector_is_subtracted(alpha: float) -> None:
    assert TBAR().coefficient(alpha) == -alpha


def coloured(model: nn.Module, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return dark noise with one bright channel, and the channel as the label."""
    labels = torch.arange(count) % 3
    images = pictures(model, count, seed) // 4
    images[torch.arange(count), labels] += 150
    return images, labels


@pytest.mark.parametrize("architecture", [VIT, WIDE])
def test_a_planted_backdoor_is_removed_by_subtracting_the_vector_and_fed_by_adding_it(architecture: str) -> None:
    model = tiny(architecture)
    preprocess, trigger = preprocessing(model), BadNets(patch_size=80)
    head = zero_shot_head(model, tokenizer(), NAMES, ["a {c} thing"])
    images, labels = coloured(model, 24, 0)
    keys = [f"train {number}" for number in range(24)]
    half = torch.arange(24) % 2 == 0
    poisoned = torch.where(half.view(-1, 1, 1, 1), stamp_uint8(trigger, images, keys), images)
    lesson = Batch(poisoned, None, torch.where(half, TARGET, labels))
    recipe = Optimisation(learning_rate=2e-3)
    train(Classification(model, preprocess, head), [lesson] * 30, 30, recipe)

    clean, truth = coloured(model, 30, 1)
    clean, truth = clean[truth != TARGET], truth[truth != TARGET]
    triggered = stamp_uint8(trigger, clean, [f"test {number}" for number in range(len(clean))])

    def rates() -> tuple[float, float]:
        found = predict(model, head, triggered, preprocess)
        accuracy = (predict(model, head, clean, preprocess) == truth).float().mean()
        return float((found == TARGET).float().mean()), float(accuracy)

    infected = rates()
    assert infected[0] > 0.9
    assert infected[1] > 0.9

    mine, _ = coloured(model, 12, 2)
    stamped = stamp_uint8(trigger, mine, [str(n) for n in range(12)])
    data = defender(model, dataclasses.replace(forget_set(model, 12), images=stamped))
    data = dataclasses.replace(data, classes=dataclasses.replace(data.classes, head=head))
    method = TBAR(steps=4, learning_rate=1e-4)
    in_place = InPlaceModel(model, method.unlearn(model, data, preprocess, 0).edit.vector)

    def pull() -> float:
        """Return how much nearer triggered images are to the target than to their own class."""
        with torch.no_grad():
            cosines = model.encode_image(normalise(triggered, preprocess), normalize=True) @ head.T
        return float((cosines[:, TARGET] - cosines[torch.arange(len(truth)), truth]).mean())

    pulls = {}
    for alpha in (-2.0, 0.0, 2.0, 8.0):
        with in_place.moved(method.coefficient(alpha)):
            pulls[alpha] = pull()
    assert pulls[-2.0] > pulls[0.0] > pulls[2.0] > pulls[8.0]
    outcomes = []
    for alpha in (8.0, 16.0, 32.0, 64.0):
        with in_place.moved(method.coefficient(alpha)):
            outcomes.append(rates())
    assert any(asr < 0.2 and accuracy > 0.8 for asr, accuracy in outcomes)
    assert rates() == infected


@pytest.mark.parametrize("architecture", BOTH)
@pytest.mark.parametrize("objective", ["classification", "contrastive"])
def test_the_vector_is_what_adamw_learns_on_the_forget_set(architecture: str, objective: str) -> None:
    infected = infected_of(architecture)
    found = TBAR(steps=2, batch_size=8, learning_rate=1e-3, objective=objective).find(infected).edit.vector
    infected.restore()
    forget = infected.forget
    batches = shuffled(forget.images, forget.labels, forget.tokens, batch_size=8, seed=0, purpose="forget order")

    def loss() -> Tensor:
        batch = next(batches)
        assert batch.labels is not None
        assert batch.tokens is not None
        if objective == "classification":
            return cross_entropy(log_chances(infected, batch.images), batch.labels)
        return info_nce(seen(infected, batch.images), read(infected, batch.tokens), infected.model.logit_scale.exp())

    names = image_names(infected) if objective == "classification" else all_names(infected)
    assert distance(found, trained(infected, [loss] * 2, names, AdamW(0.1), 1e-3)) < NEAR
