"""The defender's data in a campaign, read from the samples that the infected model was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tbar_ray.evaluation.class_prompts import ClassPrompts
from tbar_ray.stages.poison import InfectedModel
from tbar_ray.unlearning.defender import Classes, CleanSet, DefenderData
from tbar_ray.unlearning.reader import DefenderReader, Planted, stamped_by_defender

if TYPE_CHECKING:
    from torch import Tensor

    from tbar_ray.data.evaluation_set import EvaluationSet
    from tbar_ray.models.factory import Preprocessing
    from tbar_ray.stages.backdoor import Backdoor
    from tbar_ray.stages.infected import InfectedNode
    from tbar_ray.store.store import Store


class Holdings(NamedTuple):
    """What the defender holds: numbers of samples, 0 for none, and what they know of the attack."""

    forget_size: int
    clean_fraction: float
    clean_pairs: int
    training_pairs: int
    knows: tuple[str, ...]
    labelled: frozenset[CleanSet]
    """In which of these every clean image must be of a known class."""


def read_defender(
    store: Store,
    infected: InfectedNode,
    backdoor: Backdoor,
    holdings: Holdings,
    seed: int,
    data: EvaluationSet,
    prompts: ClassPrompts,
    head: Tensor,
    preprocess: Preprocessing,
) -> tuple[DefenderData, dict[str, list[str]]]:
    """The defender's data, and the keys of the samples that were read, by their use.

    The evaluation set gives class names and templates, never images.

    Raises:
        DataError: if the corpus has too few samples.
    """
    corpus, positions, _ = infected.training_samples(store)
    trigger, target, poisoned = backdoor.build(store), backdoor.target_in(store), infected.poisoned_keys(store)
    reader = DefenderReader(
        corpus,
        ClassPrompts.of(data, infected.architecture),
        preprocess,
        seed,
        numbered=infected.classify,
        labelled=holdings.labelled,
    )
    forget = clean = training = None
    if holdings.forget_size:
        plan = reader.plan(holdings.forget_size, holdings.clean_fraction, target, poisoned)
        forget = reader.forget_set(plan, trigger, target)
    if holdings.clean_pairs:
        clean = reader.clean_pairs(holdings.clean_pairs, poisoned)
    if holdings.training_pairs:
        trained = [corpus.keys[int(position)] for position in positions]
        training = reader.training_pairs(holdings.training_pairs, trained, _planted(store, infected))
    held = DefenderData(
        Classes(prompts.names, prompts.tokens(), head),
        prompts.tokenizer,
        forget,
        clean,
        training,
        data.class_index(target) if "target" in holdings.knows else None,
        (lambda images: stamped_by_defender(trigger, images)) if "trigger" in holdings.knows else None,
    )
    return held, reader.keys


def _planted(store: Store, infected: InfectedNode) -> list[Planted]:
    """What was planted in a model, from its manifest; nothing is known of a given one."""
    if not isinstance(infected, InfectedModel):
        return []
    return [
        Planted(
            plant.backdoor.build(store),
            plant.backdoor.target,
            poison.label,
            poison.plan.captions,
            poison.plan.cover,
        )
        for poison, plant in zip(infected.planted(store), infected.plants, strict=True)
    ]
