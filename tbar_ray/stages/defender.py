"""What the defender of a campaign has: read from the samples that the infected model was trained on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tbar_ray.evaluation.class_prompts import ClassPrompts
from tbar_ray.stages.poison import MANIFEST
from tbar_ray.unlearning.defender import Classes, DefenderData
from tbar_ray.unlearning.reader import DefenderReader, Planted, stamped_by_defender

if TYPE_CHECKING:
    from torch import Tensor

    from tbar_ray.data.evaluation_set import EvaluationSet
    from tbar_ray.models.factory import Preprocessing
    from tbar_ray.stages.poison import InfectedModel
    from tbar_ray.stages.unlearn import Unlearn
    from tbar_ray.store.store import Store


def read_defender(
    store: Store, stage: Unlearn, data: EvaluationSet, prompts: ClassPrompts, head: Tensor, preprocess: Preprocessing
) -> tuple[DefenderData, dict[str, list[str]]]:
    """Return what the defender has, and the keys of the samples that were read by their use.

    The evaluation set gives class names and templates, never images.

    Raises:
        DataError: if the corpus has too few samples.
    """
    infected, target = stage.infected, stage.backdoor.target
    corpus, positions, _ = infected.training_samples(store)
    trigger = stage.backdoor.build(store)
    captions = ClassPrompts.of(data, infected.architecture)
    reader = DefenderReader(corpus, captions, preprocess, stage.seed, numbered=infected.classify)
    forget = clean = training = None
    if stage.forget_size:
        plan = reader.plan(stage.forget_size, stage.clean_fraction, target, infected.poisoned_keys(store))
        forget = reader.forget_set(plan, trigger, target)
    if stage.clean_pairs:
        clean = reader.clean_pairs(stage.clean_pairs, infected.poisoned_keys(store))
    if stage.training_pairs:
        trained = [corpus.keys[int(position)] for position in positions]
        training = reader.training_pairs(stage.training_pairs, trained, _planted(store, infected))
    held = DefenderData(
        Classes(prompts.names, prompts.tokens(), head),
        prompts.tokenizer,
        forget,
        clean,
        training,
        data.class_index(target) if "target" in stage.knows else None,
        (lambda images: stamped_by_defender(trigger, images)) if "trigger" in stage.knows else None,
    )
    return held, reader.keys


def _planted(store: Store, infected: InfectedModel) -> list[Planted]:
    """Return what was planted in a model, from its manifest."""
    manifest = json.loads((store.fetch(infected.artifact, MANIFEST) / MANIFEST).read_text())
    return [
        Planted(
            plant.backdoor.build(store),
            plant.backdoor.target,
            entry["label"],
            {sample["key"]: sample["new_caption"] for sample in entry["samples"]},
            entry["cover"],
        )
        for entry, plant in zip(manifest, infected.plants, strict=True)
    ]
