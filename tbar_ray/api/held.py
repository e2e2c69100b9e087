"""Reading the defender's data for one model."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from tbar_ray.api.backdoor import Backdoor
from tbar_ray.api.classes import Classes as NamedClasses
from tbar_ray.api.model import Model
from tbar_ray.api.requests import ForgetRequest, PairsRequest
from tbar_ray.data.arrays import ArraySamples
from tbar_ray.data.folder import FolderSamples
from tbar_ray.errors import DataError
from tbar_ray.models.statistics_choice import STATISTICS_IMAGES
from tbar_ray.seeding import torch_generator
from tbar_ray.unlearning.base import Unlearner
from tbar_ray.unlearning.defender import Classes, DefenderData, Need
from tbar_ray.unlearning.reader import DefenderReader, stamped_by_defender

ADVICE: dict[Need, str] = {
    "trigger": "backdoor=Backdoor(trigger(…), target)",
    "target": "backdoor=Backdoor(trigger(…), target)",
    "forget set": "forget=forget_set(SOURCE)",
    "clean pairs": "clean=pairs(SOURCE)",
    "training pairs": "training=pairs(SOURCE)",
}


def require(
    method: Unlearner,
    backdoor: Backdoor | None,
    forget: ForgetRequest | None,
    clean: PairsRequest | None,
    training: PairsRequest | None,
) -> None:
    """Check that a method is given what it needs.

    Raises:
        DataError: one line that names everything that is missing and how to give it.
    """
    given: dict[Need, object] = {
        "trigger": backdoor,
        "target": backdoor,
        "forget set": forget,
        "clean pairs": clean,
        "training pairs": training,
    }
    lacking = [need for need, value in given.items() if need in method.needs and value is None]
    if forget is not None and backdoor is None:
        lacking = ["trigger", "target", *(need for need in lacking if need not in {"trigger", "target"})]
    if lacking:
        give = " and ".join(dict.fromkeys(ADVICE[need] for need in lacking))
        raise DataError(f"{method.name} needs {', '.join(lacking)}; give estimate {give}")


def read_held(
    model: Model,
    classes: NamedClasses,
    backdoor: Backdoor | None,
    forget: ForgetRequest | None,
    clean: PairsRequest | None,
    training: PairsRequest | None,
    seed: int,
) -> DefenderData:
    """Read, stamp and tokenise the requested samples.

    Raises:
        DataError: if the target is no class, or a source has too few samples.
    """
    prompts = classes.prompts(model.tokenizer)
    target = None if backdoor is None else classes.index(backdoor.target)

    reader = partial(reader_of, model=model, classes=classes, seed=seed)
    stamp: Callable[[Tensor], Tensor] | None = None
    triggered = None
    if backdoor is not None:
        trigger = backdoor.trigger
        stamp = lambda images: stamped_by_defender(trigger, images)  # noqa: E731 - a name for mypy
        if forget is not None:
            chooser = reader(forget)
            plan = chooser.plan(forget.size, forget.clean_fraction, backdoor.target, forget.exclude)
            triggered = chooser.forget_set(plan, trigger, backdoor.target)
    return DefenderData(
        Classes(prompts.names, prompts.tokens(), prompts.head(model.module)),
        model.tokenizer,
        triggered,
        None if clean is None else reader(clean).clean_pairs(clean.count, clean.exclude),
        None if training is None else reader(training).training_pairs(training.count, remaining_keys(training)),
        target,
        stamp,
    )


def reader_of(request: ForgetRequest | PairsRequest, model: Model, classes: NamedClasses, seed: int) -> DefenderReader:
    """A reader of a request's source, at a model's image size; its seed is the request's own where it has one."""
    samples = request.samples
    if isinstance(samples, FolderSamples):
        samples = samples.of_classes(classes.names)
    return DefenderReader(
        samples,
        classes.prompts(model.tokenizer),
        model.preprocessing,
        seed if request.seed is None else request.seed,
        numbered=isinstance(samples, ArraySamples),
    )


def clean_images_of(data: DefenderData, seed: int) -> Tensor | None:
    """At most 960 clean images of a defender: clean pairs, else the forget set before stamping; else None."""
    images = data.clean.images if data.clean is not None else data.forget.twins if data.forget is not None else None
    if images is None or len(images) <= STATISTICS_IMAGES:
        return images
    drawn = torch.randperm(len(images), generator=torch_generator(seed, "statistics images", len(images)))
    return images[drawn[:STATISTICS_IMAGES]]


def remaining_keys(request: PairsRequest) -> list[str]:
    """Keys of a request's samples without the excluded ones, in their order."""
    return [key for key in request.samples.keys if key not in request.exclude]
