"""Reading the defender's data for one model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from torch import Tensor

from tbar_ray.api.backdoor import Backdoor
from tbar_ray.api.classes import Classes as NamedClasses
from tbar_ray.api.model import Model
from tbar_ray.api.requests import ForgetRequest, PairsRequest
from tbar_ray.data.arrays import ArraySamples
from tbar_ray.data.folder import FolderSamples
from tbar_ray.data.selection import ranked
from tbar_ray.errors import DataError
from tbar_ray.models.statistics_choice import STATISTICS_IMAGES
from tbar_ray.unlearning.base import Unlearner
from tbar_ray.unlearning.defender import Classes, CleanSet, DefenderData, Need
from tbar_ray.unlearning.reader import DefenderReader, stamped_by_defender

ADVICE: dict[Need, str] = {
    "trigger": "backdoor=Backdoor(trigger(…), target)",
    "target": "backdoor=Backdoor(trigger(…), target)",
    "forget set": "forget=forget_set(SOURCE)",
    "clean pairs": "clean=pairs(SOURCE)",
    "training pairs": "training=pairs(SOURCE)",
}


class Held(NamedTuple):
    """What was read for a defender, and the keys of the samples by their use (`triggered`, `clean`, …)."""

    data: DefenderData
    keys: Mapping[str, Sequence[str]]


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
    *,
    labelled: frozenset[CleanSet] = frozenset(),
) -> Held:
    """Read, stamp and tokenise the requested samples; in sets that are `labelled`, clean ones of a known class alone.

    Raises:
        DataError: if the target is no class, or a source has too few samples.
    """
    prompts = classes.prompts(model.tokenizer)
    target = None if backdoor is None else classes.index(backdoor.target)
    readers: list[DefenderReader] = []

    def reader(request: ForgetRequest | PairsRequest) -> DefenderReader:
        readers.append(reader_of(request, model, classes, seed, labelled=labelled))
        return readers[-1]

    stamp: Callable[[Tensor], Tensor] | None = None
    triggered = None
    if backdoor is not None:
        trigger = backdoor.trigger
        stamp = lambda images: stamped_by_defender(trigger, images)  # noqa: E731 - a name for mypy
        if forget is not None:
            chooser = reader(forget)
            plan = chooser.plan(forget.size, forget.clean_fraction, backdoor.target, forget.exclude)
            triggered = chooser.forget_set(plan, trigger, backdoor.target)
    data = DefenderData(
        Classes(prompts.names, prompts.tokens(), model.head(classes)),
        model.tokenizer,
        triggered,
        None if clean is None else reader(clean).clean_pairs(clean.count, clean.exclude),
        None if training is None else reader(training).training_pairs(training.count, remaining_keys(training)),
        target,
        stamp,
    )
    return Held(data, {use: keys for each in readers for use, keys in each.keys.items()})


def reader_of(
    request: ForgetRequest | PairsRequest,
    model: Model,
    classes: NamedClasses,
    seed: int,
    *,
    labelled: frozenset[CleanSet] = frozenset(),
) -> DefenderReader:
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
        labelled=labelled,
    )


def clean_images_of(held: Held, seed: int) -> Tensor | None:
    """At most 960 clean images of a defender, those that a campaign takes, in its order.

    Clean pairs, else the forget set before stamping; None where there is neither.
    """
    data, keys = held
    if data.clean is not None:
        images, own = data.clean.images, list(keys["clean pairs"])
    elif data.forget is not None:
        images, own = data.forget.twins, [*keys["triggered"], *keys["clean"]]
    else:
        return None
    row_of = {key: row for row, key in enumerate(own)}
    return images[[row_of[key] for key in ranked(own, seed, "statistics images")[:STATISTICS_IMAGES]]]


def remaining_keys(request: PairsRequest) -> list[str]:
    """Keys of a request's samples without the excluded ones, in their order."""
    return [key for key in request.samples.keys if key not in request.exclude]
