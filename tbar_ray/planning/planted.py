"""From an attack of the spec to its nodes: backdoor, infected model, and what the victim merged it into."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from tbar_ray.planning.foundation import Foundation
from tbar_ray.planning.given_weights import given_weights
from tbar_ray.planning.trial import Trial, poisoning_rate
from tbar_ray.spec.attack import Attack, PlantingSpec, Training
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.stages.backdoor import Backdoor, Plant
from tbar_ray.stages.data import Located
from tbar_ray.stages.infected import GivenInfectedModel, InfectedNode
from tbar_ray.stages.merge import MergedModel
from tbar_ray.stages.models import ModelNode
from tbar_ray.stages.patch import OptimisePatch
from tbar_ray.stages.poison import InfectedModel
from tbar_ray.triggers.presets import find_preset, resolve
from tbar_ray.triggers.registry import TRIGGERS


@dataclass(frozen=True)
class PlantedAttack:
    """The nodes of one attack.

    Attributes:
        backdoor: trigger and target.
        evaluation: the set that it is scored on: the campaign's, or the task.
        clean: the model without the backdoor (in the single-task setting, fine-tuned cleanly); None if there is none.
        infected: the model that the attacker hands out.
        model: the model that the victim uses: the infected one, or what it was merged into.
        others: further backdoors of the same model, by attack.
        another: a model that was fine-tuned cleanly for another task; None in campaigns without one.
    """

    backdoor: Backdoor
    evaluation: Located
    clean: ModelNode | None
    infected: InfectedNode
    model: ModelNode
    others: Mapping[str, Backdoor]
    another: InfectedModel | None = None


def plant_attack(trial: Trial, base: Foundation, name: str) -> PlantedAttack:
    """Nodes of one attack of the spec in a trial; attacks that are planted together share the infected model."""
    spec = trial.spec
    attack = spec.attacks[name]
    if attack.infected is not None:
        return _given(spec, base, name, attack.infected, attack.text_from)
    together = list(spec.attacks) if spec.poison.plant == "together" else [name]
    plants = tuple(_plant(spec, base, each) for each in together)
    backdoor = plants[together.index(name)].backdoor
    evaluation = base.tasks[attack.task] if attack.task else base.evaluation
    training = attack.poison.training or spec.poison.training
    poisoning = tuple(plant for plant in plants if plant.rate != 0)
    infected = _train(spec, base, attack.task, poisoning, training, attack.planting)
    clean: ModelNode | None = base.clean
    model: ModelNode = infected
    if attack.task is not None:
        clean = _train(spec, base, attack.task, (), training, PlantingSpec())
    if attack.merge is not None:
        assert clean is not None
        parts = [_train(spec, base, task, (), training, PlantingSpec()) for task in attack.merge.tasks]
        merged = partial(
            MergedModel,
            architecture=spec.model.architecture,
            clean=_clean(base),
            merge=attack.merge,
            statistics_images=spec.evaluation.statistics_images if spec.evaluation.statistics == "reestimated" else 0,
            seed=spec.seed,
        )
        model = merged(parts=(infected, *parts))
        clean = merged(parts=(clean, *parts))
    others = {each: plant.backdoor for each, plant in zip(together, plants, strict=True) if each != name}
    unmerged = another_task(spec, attack)
    another = None if unmerged is None else _train(spec, base, unmerged, (), training, PlantingSpec())
    return PlantedAttack(backdoor, evaluation, clean, infected, model, others, another)


def another_task(spec: CampaignSpec, attack: Attack) -> str | None:
    """The first task of a spec that an attack's model has nothing to do with; None for an attack without a task."""
    if attack.task is None:
        return None
    merged = attack.merge.tasks if attack.merge else []
    return next((task for task in spec.tasks if task not in (attack.task, *merged)), None)


def _given(spec: CampaignSpec, base: Foundation, name: str, weights: str, text_from: str | None) -> PlantedAttack:
    infected = GivenInfectedModel(
        architecture=spec.model.architecture,
        corpus=base.corpus,
        evaluation=base.evaluation,
        seed=spec.seed,
        on_error=spec.data.on_error,
        **given_weights(spec.model.architecture, weights, text_from, f"attacks.{name}.infected"),
    )
    return PlantedAttack(_backdoor(spec, base, name), base.evaluation, base.clean, infected, infected, {})


def _clean(base: Foundation) -> ModelNode:
    """The clean model, which a spec that plants anything has."""
    assert base.clean is not None
    return base.clean


def _plant(spec: CampaignSpec, base: Foundation, name: str) -> Plant:
    attack = spec.attacks[name]
    preset = find_preset(attack.trigger) if "/" in attack.trigger else None
    rate = poisoning_rate(spec, name)
    count = attack.poison.count or spec.poison.count
    own, published = attack.poison.captions or spec.poison.captions, preset.captions if preset else None
    return Plant(
        attack=name,
        backdoor=_backdoor(spec, base, name),
        rate=rate,
        count=count if rate is None else None,
        captions=own or published or "openai",
        poisoning=attack.poisoning or (preset.poisoning if preset else "dirty-label"),
    )


def _backdoor(spec: CampaignSpec, base: Foundation, name: str) -> Backdoor:
    attack = spec.attacks[name]
    trigger, parameters = resolve(attack.trigger, attack.parameters)
    learned = None
    if TRIGGERS[trigger].learned:
        learned = OptimisePatch(
            clean=_clean(base),
            corpus=base.corpus,
            trigger=trigger,
            parameters=parameters,
            target=attack.target,
            options=attack.patch,
            seed=spec.seed,
            on_error=spec.data.on_error,
            threads=spec.resources.training_cpus,
        )
    return Backdoor(trigger=trigger, parameters=parameters, seed=spec.seed, target=attack.target, learned=learned)


def _train(
    spec: CampaignSpec,
    base: Foundation,
    task: str | None,
    plants: tuple[Plant, ...],
    training: Training,
    planting: PlantingSpec,
) -> InfectedModel:
    return InfectedModel(
        architecture=spec.model.architecture,
        clean=_clean(base),
        corpus=base.tasks[task] if task else base.corpus,
        evaluation=base.tasks[task] if task else base.evaluation,
        plants=plants,
        classify=task is not None,
        pairs=None if task else spec.poison.pairs,
        training=training,
        planting=planting,
        templates=spec.evaluation.templates,
        seed=spec.seed,
        on_error=spec.data.on_error,
        shuffle_buffer=None if task else spec.data.shuffle_buffer,
        threads=spec.resources.training_cpus,
        samples=None if task else base.samples,
    )
