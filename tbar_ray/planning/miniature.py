"""A trial's spec in miniature: the same stages, methods and settings on a few samples, for a few steps."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any, Final, TypeVar

from tbar_ray.inversion.subject import LEAST_IMAGES
from tbar_ray.planning.inversion import build_search, inversion_of
from tbar_ray.planning.methods import alphas_of, build_method, method_of
from tbar_ray.planning.stand_ins import PAIRS, StandIns
from tbar_ray.spec.attack import Attack, Patch, PoisonBudget, PoisonSpec, Training
from tbar_ray.spec.campaign import CampaignSpec, DisentanglementSpec, Evaluation, ModelSpec, Resources
from tbar_ray.spec.data import Data, SyntheticPairs, TaskSpec
from tbar_ray.spec.lasting import ReboundSpec
from tbar_ray.spec.unlearning import InversionSpec, Method

PairsT = TypeVar("PairsT", bound=SyntheticPairs)

TRAINED: Final = 16
"""Pairs of a planting on a given corpus."""
BATCH: Final = 16
"""Largest batch, which is all of these pairs: a step of the optimiser takes a CPU as long as many pairs."""
DRAWN_BATCH: Final = 32
"""The same where pairs are drawn, of which there are more."""
MICRO_BATCH: Final = 8
DEFENDER: Final = 8
"""Clean pairs, and pairs that the attacker trained on."""
POISONED: Final = 2
FEW: Final = 4
"""Images or pairs of a defender."""
SYNTHETIC: Final = 128
"""Pairs of a drawn corpus, which has classes of its own: two of each."""
IMAGES: Final = 12
"""Evaluation images, at most."""
WORK: Final[Mapping[str, int]] = {
    "steps": 1, "epochs": 1, "batch_size": FEW, "warmup_steps": 1, "rounds": 1, "inner_steps": 1, "outer_steps": 1,
    "fixed_point_steps": 1, "coefficient_steps": 1, "unlearning_steps": 1, "ascent_steps": 1, "inversion_steps": 1,
    "weakening_steps": 1, "permutations": 1, "images": 4, "fisher_images": FEW, "samples": FEW, "vectors": 2,
    "refine": 1, "patch_steps": 1, "judged": 8,
}  # fmt: skip
"""Most that a parameter of a method, a search or a learned trigger may be where it is an amount of work."""
PARTS: Final[Mapping[str, int]] = {"group": 4096}
"""Least that a parameter may be of which more is less work: images of a gradient, channels judged together."""
RATE: Final = 1e-6
"""Largest learning rate: at those of trained weights, trainings of random ones diverge."""
RATES: Final = ("learning_rate", "mask_learning_rate", "relearning_rate", "inner_rate", "coefficient_rate")
"""Learning rates among the parameters of methods."""


def miniature(
    spec: CampaignSpec, stand_ins: StandIns, resources: Resources, ready: Set[str] = frozenset()
) -> CampaignSpec:
    """A spec of one trial in miniature.

    What is tried is kept: triggers, targets, plantings, methods with their parameters, precisions, the architecture and
    its image size. Amounts are cut: samples, steps, batches, learning rates, α, classes and prompts. Every attack
    counts as taken and every α as good enough, so that no stage is skipped.

    Args:
        spec: of a trial.
        stand_ins: what is in place of data and weights.
        resources: of the machine.
        ready: attacks of which nothing is planted: random weights stand in for the infected model.
    """
    given = {
        "data": _data(spec.data, stand_ins),
        "model": _model(spec.model, stand_ins),
        "tasks": {name: stand_ins.task(name, _task(task)) for name, task in spec.tasks.items()},
        "attacks": {
            name: _ready(spec, attack, stand_ins) if name in ready else _attack(spec, attack, stand_ins)
            for name, attack in spec.attacks.items()
        },
        "poison": _poison(spec.poison, given=spec.data.synthetic is None),
        "forget": spec.forget.model_copy(update={"size": min(spec.forget.size, FEW)}),
        "defender": spec.defender.model_copy(
            update={name: min(getattr(spec.defender, name), DEFENDER) for name in ("clean_pairs", "training_pairs")}
        ),
        "methods": {**spec.methods, spec.unlearning.method: _method(spec)},
        "inversions": {**spec.inversions, **_inversion(spec)},
        "evaluation": _evaluation(spec.evaluation),
        "disentanglement": None if spec.disentanglement is None else _map(spec.disentanglement),
        "resources": resources,
    }
    return spec.model_copy(update=given)


def fitting(resources: Resources, cpus: int, gpus: int) -> Resources:
    """Resources of a campaign as far as a machine has them."""
    workers = max(1, min(resources.training_workers, cpus // resources.training_cpus))
    return resources.model_copy(
        update={
            "training_cpus": min(resources.training_cpus, cpus),
            "trial_cpus": min(resources.trial_cpus, cpus),
            "training_workers": workers,
            "gpus": min(resources.gpus, gpus),
            "training_gpus": None if resources.training_gpus is None else min(resources.training_gpus, gpus / workers),
            "readers": 1,
            "max_cpus": None,
            "max_gpus": None,
        }
    )


def _data(data: Data, stand_ins: StandIns) -> Data:
    buffer = None if data.shuffle_buffer is None else min(data.shuffle_buffer, DEFENDER)
    synthetic = data.synthetic
    if synthetic is not None:
        fewer = {"per_class": min(synthetic.per_class, 2), "retrieval": min(synthetic.retrieval, FEW)}
        synthetic = _drawn(synthetic).model_copy(update=fewer)
    return stand_ins.data(data).model_copy(update={"shuffle_buffer": buffer, "synthetic": synthetic})


def _drawn(pairs: PairsT) -> PairsT:
    fewer = {
        "samples": min(pairs.samples, SYNTHETIC),
        "samples_per_shard": min(pairs.samples_per_shard, SYNTHETIC // 2),
    }
    return pairs.model_copy(update=fewer)


def _model(model: ModelSpec, stand_ins: StandIns) -> ModelSpec:
    given = None if model.pretrained is None else stand_ins.weights(model.architecture)
    training = None if model.training is None else _training(model.training, DRAWN_BATCH)
    synthetic = None if model.synthetic is None else _drawn(model.synthetic)
    return model.model_copy(
        update={"pretrained": given, "text_from": None, "training": training, "synthetic": synthetic}
    )


def _task(task: TaskSpec) -> TaskSpec:
    return task.model_copy(update={"per_class": min(task.per_class, 2), "per_class_test": min(task.per_class_test, 2)})


def _training(training: Training, batch: int = BATCH) -> Training:
    micro = None if training.micro_batch is None else min(training.micro_batch, MICRO_BATCH)
    optimisation = training.optimisation
    slow = {
        "warmup_steps": min(optimisation.warmup_steps, 1),
        "learning_rate": min(optimisation.learning_rate, RATE),
    }
    return training.model_copy(
        update={
            "epochs": 1,
            "batch_size": min(training.batch_size, batch),
            "micro_batch": micro,
            "optimisation": optimisation.model_copy(update=slow),
        }
    )


def _fewer_pairs(pairs: int | None, *, given: bool) -> int | None:
    """Those of a given corpus are few; a drawn one has little models, and classes of its own that are all needed."""
    most = TRAINED if given else PAIRS
    return min(pairs or most, most) if given or pairs is not None else None


def _poison(poison: PoisonSpec, *, given: bool) -> PoisonSpec:
    return poison.model_copy(
        update={
            **_amounts(poison),
            "pairs": _fewer_pairs(poison.pairs, given=given),
            "training": _training(poison.training, BATCH if given else DRAWN_BATCH),
            "min_asr": 0.0,
            "max_ca_drop": 1.0,
        }
    )


def _amounts(poison: PoisonSpec | PoisonBudget) -> dict[str, int | None]:
    """A count in place of either a rate or a count, where there is one; none stays none."""
    if poison.rate == 0:
        return {"rate": 0, "count": None}
    return {"rate": None, "count": None if poison.rate is None and poison.count is None else POISONED}


def _attack(spec: CampaignSpec, attack: Attack, stand_ins: StandIns) -> Attack:
    budget = attack.poison
    training = None if budget.training is None else _training(budget.training)
    return attack.model_copy(
        update={
            "infected": None if attack.infected is None else stand_ins.infected(spec.model.architecture),
            "text_from": None,
            "poison": budget.model_copy(update={**_amounts(budget), "training": training}),
            "patch": _patch(attack.patch),
        }
    )


def _ready(spec: CampaignSpec, attack: Attack, stand_ins: StandIns) -> Attack:
    """An attack in a model that is given, with its trigger and target."""
    known = {name: getattr(attack, name) for name in ("trigger", "target", "parameters", "poisoning")}
    return Attack(**known, patch=_patch(attack.patch), infected=stand_ins.infected(spec.model.architecture))


def _patch(patch: Patch) -> Patch:
    from tbar_ray.planting.badclip import PatchOptimisation

    return patch.model_copy(
        update={
            "pairs": min(patch.pairs, DEFENDER),
            "target_images": min(patch.target_images, 4),
            "parameters": _less(PatchOptimisation(**patch.parameters), patch.parameters),
        }
    )


def _method(spec: CampaignSpec) -> Method:
    """The trial's method with less work, and the first and the last of its α."""
    name = spec.unlearning.method
    entry, alphas = method_of(spec, name), alphas_of(spec, name)
    parameters = _less(build_method(spec, name), entry.parameters)
    return entry.model_copy(update={"parameters": parameters, "alpha": list(dict.fromkeys((alphas[0], alphas[-1])))})


def _inversion(spec: CampaignSpec) -> dict[str, InversionSpec]:
    """The trial's search with less work, by its name; nothing where the defender is told the trigger."""
    if (name := spec.defender.inversion) is None:
        return {}
    entry = inversion_of(spec, name)
    less = {"images": LEAST_IMAGES, "parameters": _less(build_search(spec, name), entry.parameters)}
    return {name: entry.model_copy(update=less)}


def _less(options: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of which amounts of work and learning rates are cut, and parts made large; a limit not set is set."""
    fields, limits = type(options).model_fields, {**WORK, **dict.fromkeys(RATES, RATE)}
    cut = {
        name: most if (value := getattr(options, name)) is None else min(value, most)
        for name, most in limits.items()
        if name in fields
    }
    large = {name: max(getattr(options, name), least) for name, least in PARTS.items() if name in fields}
    return {**given, **cut, **large}


def _evaluation(evaluation: Evaluation) -> Evaluation:
    return evaluation.model_copy(
        update={
            "templates": "evaluation",
            "max_images": min(evaluation.max_images or IMAGES, IMAGES),
            "min_retention": 0.0,
            "max_asr": None if evaluation.max_asr is None else 1.0,
            "statistics_images": min(evaluation.statistics_images, DEFENDER),
            "rebound": None if evaluation.rebound is None else _rebound(evaluation.rebound),
        }
    )


def _rebound(rebound: ReboundSpec) -> ReboundSpec:
    cut = {"steps": 1, "batch_size": 4, "at": (0,), "pairs": min(rebound.pairs, FEW), "sweep": rebound.sweep[:1]}
    # a removal that is tried in one step removes nothing, and has to be followed all the same
    every = {"learning_rate": min(rebound.learning_rate, RATE), "eligible_only": False}
    return rebound.model_copy(update={**cut, **every})


def _map(disentanglement: DisentanglementSpec) -> DisentanglementSpec:
    return disentanglement.model_copy(
        update={
            "points": 2,
            "images": min(disentanglement.images, FEW),
            "samples": min(disentanglement.samples, DEFENDER),
            "training": _training(disentanglement.training),
        }
    )
