"""A backdoor planted in a small model in seconds, and a defender's data: what every method's mechanism is tested on.

Four classes of noisy, single-coloured images; the trigger is a fixed patch; the target is 'blue'.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn

from tbar_ray.evaluation.zeroshot import predict, zero_shot_head
from tbar_ray.models.factory import Preprocessing, preprocessing
from tbar_ray.models.in_place import InPlaceModel
from tbar_ray.training.loop import train
from tbar_ray.training.objectives import Classification
from tbar_ray.training.options import Optimisation
from tbar_ray.training.shuffled import shuffled
from tbar_ray.triggers.badnets import BadNets
from tbar_ray.triggers.base import stamp_uint8
from tbar_ray.unlearning.base import Unlearned, Unlearner
from tbar_ray.unlearning.defender import Classes, DefenderData, ForgetSet, Pairs
from tests.kept import kept
from tests.models.tiny import RESNET, tiny, tokenizer

NAMES = ("red", "green", "blue", "grey")
COLOURS = torch.tensor([[0.9, 0.2, 0.2], [0.2, 0.9, 0.2], [0.2, 0.2, 0.9], [0.5, 0.5, 0.5]])
TEMPLATES = ("a {c} thing", "a photo of something {c}")
TARGET = 2
TRIGGER = BadNets(patch_size=56, place="bottom-right")


@dataclass(frozen=True)
class Scores:
    """Shares of unseen images: answered right (CA), triggered and answered with the target (ASR), answered right
    although triggered (PA)."""

    ca: float
    asr: float
    pa: float


@dataclass(frozen=True)
class Case:
    """A model and what its defender has; `model` is shared between tests and must come back as it was."""

    model: nn.Module
    preprocess: Preprocessing
    data: DefenderData


def stamp(images: Tensor) -> Tensor:
    return stamp_uint8(TRIGGER, images, [str(row) for row in range(len(images))])


def pictures(count: int, side: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return uint8 images [count, 3, side, side] and their classes."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % len(NAMES)
    coarse = torch.rand(count, 3, side // 8, side // 8, generator=draw)
    noise = nn.functional.interpolate(coarse, size=(side, side), mode="nearest")
    images = 0.55 * COLOURS[labels][:, :, None, None] + 0.45 * noise
    return (images * 255).to(torch.uint8), labels


def pairs(images: Tensor, labels: Tensor) -> Pairs:
    captions = tuple(f"a photo of something {NAMES[label]}" for label in labels.tolist())
    return Pairs(images, captions, tokenizer()(captions), labels)


def poisoned_pictures(side: int, every: int = 5) -> tuple[Tensor, Tensor]:
    """Return training images and labels: every fifth, if it is not of the target, triggered and labelled with it."""
    images, labels = pictures(256, side, seed=1)
    rows = torch.arange(0, 256, every)
    rows = rows[labels[rows] != TARGET]
    images[rows], labels[rows] = stamp(images[rows]), TARGET
    return images, labels


def defender(model: nn.Module) -> DefenderData:
    """Return all that a defender may have, of a model's image size; the head is the model's own."""
    side = preprocessing(model).size
    clean = pairs(*pictures(96, side, seed=2))
    twins, labels = pictures(64, side, seed=3)
    twins = twins[labels != TARGET]
    triggered = torch.ones(len(twins), dtype=torch.bool)
    named = tokenizer()([f"a photo of something {NAMES[TARGET]}"] * len(twins))
    forget = ForgetSet(stamp(twins), twins, named, torch.full((len(twins),), TARGET), triggered)
    prompts = tokenizer()([t.replace("{c}", name) for name in NAMES for t in TEMPLATES])
    head = zero_shot_head(model, tokenizer(), NAMES, TEMPLATES)
    classes = Classes(NAMES, prompts.view(len(NAMES), len(TEMPLATES), -1), head)
    return DefenderData(classes, tokenizer(), forget, clean, pairs(*poisoned_pictures(side)), TARGET, stamp)


def _trained(model: nn.Module, data: DefenderData, infected: bool, every: int) -> None:
    side = preprocessing(model).size
    images, labels = poisoned_pictures(side, every) if infected else pictures(256, side, seed=1)
    options = Optimisation(learning_rate=1e-3, warmup_steps=5)
    batches = shuffled(images, labels, None, batch_size=32, seed=0, purpose="planting")
    train(Classification(model, preprocessing(model), data.classes.head), batches, 60, options)


@cache
def case(architecture: str = RESNET, infected: bool = True, every: int = 5) -> Case:
    """Return a model that was trained on the colours, with the backdoor or without; once in a session."""
    with torch.random.fork_rng(devices=[]):
        model = tiny(architecture)
        data = defender(model)

        def state() -> dict[str, Tensor]:
            _trained(model, data, infected, every)
            return model.state_dict()

        model.load_state_dict(kept(f"{architecture}-{every if infected else 'clean'}", state))
    return Case(model.eval(), preprocessing(model), data)


@cache
def unseen(side: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return images that nobody trained on, their classes, and those that are not of the target, triggered."""
    images, labels = pictures(80, side, seed=9)
    return images, labels, stamp(images[labels != TARGET])


def scores(model: nn.Module, preprocess: Preprocessing, head: Tensor) -> Scores:
    """Score a model on images that nobody trained on."""
    images, labels, stamped = unseen(preprocess.size)
    answers = predict(model, head, images, preprocess)
    triggered = predict(model, head, stamped, preprocess)
    return Scores(
        float((answers == labels).float().mean()),
        float((triggered == TARGET).float().mean()),
        float((triggered == labels[labels != TARGET]).float().mean()),
    )


def scores_after(case: Case, method: Unlearner, found: Unlearned, alpha: float = 1.0) -> Scores:
    """Score the edited model; the model is put back."""
    with InPlaceModel(case.model, found.edit.vector).moved(method.coefficient(alpha)) as moved:
        head = case.data.classes.head if found.edit.head is None else found.edit.head
        return scores(moved, case.preprocess, head)
