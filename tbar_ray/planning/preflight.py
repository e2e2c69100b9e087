"""Checks before the sweep: every error in a spec that can be found without computing is reported here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from tbar_ray.data.class_names import find_class
from tbar_ray.data.synthetic.tasks import TASKS
from tbar_ray.errors import SpecError, TbarError
from tbar_ray.lasting.clean_pairs import LEAST
from tbar_ray.models.architectures import architecture_config, normalises_over_batches
from tbar_ray.models.merging import build_merge
from tbar_ray.naming import nearest
from tbar_ray.planning.axes import is_of_method, keys_of, method_parameter
from tbar_ray.planning.beliefs import check_beliefs
from tbar_ray.planning.disjoint import shared_images
from tbar_ray.planning.foundation import Foundation
from tbar_ray.planning.given_checkpoints import check_checkpoint
from tbar_ray.planning.given_templates import check_templates
from tbar_ray.planning.given_weights import given_weights
from tbar_ray.planning.inversion import build_search
from tbar_ray.planning.methods import build_method, lacking, used_methods
from tbar_ray.planning.pair_labels import check_labels
from tbar_ray.planning.planner import Planner
from tbar_ray.planning.planted import another_task
from tbar_ray.planning.trial import override, poisoning_rate
from tbar_ray.planting.badclip import PatchOptimisation
from tbar_ray.planting.registry import PLANTINGS, build_planting
from tbar_ray.spec.attack import Attack
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.spec.search import AxisRange
from tbar_ray.stages.imported import ImportedSet
from tbar_ray.stages.shard_training import BATCH_NORM, PLANTING
from tbar_ray.triggers.presets import resolve
from tbar_ray.triggers.registry import TRIGGERS, build_trigger

METHOD_AXES = ("method", "unlearning.method")
SIZE_AXES = ("forget_size", "forget.size", "poisoning_rate", "poison.rate")
"""Sizes that must fit into the corpus together."""


def check_campaign(planner: Planner) -> None:
    """Raise SpecError for names that do not exist and sizes that the data cannot provide, in any trial of a campaign.

    Each value of an axis is checked alone, with the other axes as in the spec (sizes at their smallest: the spec's own
    is of no trial); only the largest sizes are checked together.

    Raises:
        SpecError: one line that names the field, or the axis and its value.
        DataError: if given shards do not exist.
    """
    spec = planner.spec
    _check_axes(spec)
    seen: set[str] = set()
    axes = {name: axis for name, axis in spec.search.axes.items() if name in SIZE_AXES}
    sizes = {name: found for name, axis in axes.items() if (found := _sizes(spec, name, axis))}
    smallest = {name: min(values) for name, values in sizes.items()}
    base = override(spec, smallest, spec.unlearning.method) if smallest else spec
    _check(planner, base, used_methods(spec), seen)
    for name, axis in spec.search.axes.items():
        methods = [of[0]] if (of := method_parameter(name)) is not None else used_methods(spec)
        for value in _values(axis):
            for own in _checked_together(name, value, methods):
                trial = override(spec, {**smallest, name: value}, own[0])
                try:
                    _check(planner, trial, own, seen)
                except SpecError as error:
                    where = "" if name in METHOD_AXES else f"search.axes.{name}: {value!r}: "
                    raise SpecError(f"{where}{error}") from None
    largest = {name: max(values) for name, values in sizes.items()}
    if len(largest) > 1:
        trial = override(spec, largest, spec.unlearning.method)
        _check_sizes(trial, used_methods(trial), planner.foundation(trial).samples)


def _values(axis: list[Any] | AxisRange) -> list[Any]:
    return axis if isinstance(axis, list) else [axis.low, axis.high]


def _sizes(spec: CampaignSpec, name: str, axis: list[Any] | AxisRange) -> list[float]:
    """Values of an axis of `SIZE_AXES` as trials get them, without None: a spec may write numbers as texts."""
    trials = [override(spec, {name: value}, spec.unlearning.method) for value in _values(axis)]
    found = [trial.forget.size if name.startswith("forget") else trial.poison.rate for trial in trials]
    return [size for size in found if size is not None]


def _checked_together(axis: str, value: Any, methods: list[str]) -> list[list[str]]:
    """Methods that one spec with the axis's value is for, spec by spec."""
    if axis in METHOD_AXES:
        return [[str(value)]]
    return [[method] for method in methods] if is_of_method(axis) else [methods]


def _check(planner: Planner, spec: CampaignSpec, methods: list[str], seen: set[str]) -> None:
    """Check one spec; parts that an earlier one had too are not checked again."""

    def once(content: str, check: Callable[[], None]) -> None:
        if content not in seen:
            check()
            seen.add(content)

    base = planner.foundation(spec)
    if not base.missing:
        once(spec.model_dump_json(include={"data", "tasks", "evaluation"}), lambda: check_templates(spec, base))
        once(spec.model_dump_json(include={"data", "tasks"}), lambda: planner.notes.extend(shared_images(spec)))
    once(
        spec.model_dump_json(include={"model", "tasks", "attacks", "resources"}), partial(_check_model_and_tasks, spec)
    )
    for name, attack in spec.attacks.items():
        of = spec.model_dump_json(
            include={"data": True, "tasks": True, "attacks": {name}, "evaluation": {"downstream"}}
        )
        once(of, partial(_check_attack, spec, base, name, attack))
    _check_methods(spec, methods)
    _check_inversion(spec)
    check_beliefs(spec)
    read = spec.model_dump_json(include={"data", "attacks", "forget", "methods", "unlearning", "disentanglement"})
    once(f"labels {methods} {read}", partial(check_labels, spec, methods))
    sizes = spec.model_dump_json(include={"data", "poison", "forget", "defender", "attacks", "evaluation"})
    once(f"sizes {methods} {sizes}", partial(_check_sizes, spec, methods, base.samples))


def _check_axes(spec: CampaignSpec) -> None:
    """Check axes together: which methods have trials, and what can vary at all."""
    methods = used_methods(spec)
    for name, axis in spec.search.axes.items():
        keys = keys_of(spec, name, methods[0])[0]
        if keys[0] == "methods" and keys[1] not in methods:
            known = methods if name.startswith("methods.") else [*methods, *CampaignSpec.model_fields]
            raise SpecError(f"search.axes.{name}: no trial has the method {keys[1]!r}{nearest(keys[1], known)}")
        if name in ("attack", "source") and isinstance(axis, list):
            for value in axis:
                if value not in spec.attacks:
                    told = nearest(str(value), spec.attacks) if isinstance(value, str) else "; write it in quotes"
                    raise SpecError(f"search.axes.{name}: {value!r} is not under 'attacks'{told}")
    counted = [name for name, attack in spec.attacks.items() if attack.poison.count is not None]
    if "poisoning_rate" in spec.search.axes and (spec.poison.rate is None or counted):
        raise SpecError("search.axes.poisoning_rate: set poison.rate, not poison.count")


def _check_model_and_tasks(spec: CampaignSpec) -> None:
    architecture_config(spec.model.architecture)
    if spec.model.pretrained is not None:
        check_checkpoint(spec.model.architecture, spec.model.pretrained, spec.model.text_from, "model.pretrained")
    _check_divided(spec)
    for name, attack in spec.attacks.items():
        if attack.infected is not None:
            given = spec.model.architecture, attack.infected, attack.text_from, f"attacks.{name}.infected"
            given_weights(*given)
            check_checkpoint(*given)
    for name, task in spec.tasks.items():
        if task.synthetic is not None and task.synthetic not in TASKS:
            hint = nearest(task.synthetic, TASKS)
            raise SpecError(f"tasks.{name}.synthetic: no embedded task {task.synthetic!r}{hint}")


def _check_divided(spec: CampaignSpec) -> None:
    """Check that the trainings on shards can be divided among as many workers as the spec gives them."""
    planted = [name for name, attack in spec.attacks.items() if attack.infected is None]
    if spec.resources.training_workers == 1 or (spec.model.training is None and not planted):
        return
    if normalises_over_batches(spec.model.architecture):
        raise SpecError(f"resources.training_workers: {spec.model.architecture}: {BATCH_NORM}")
    for name in planted:
        if spec.attacks[name].planting.method != "standard":
            raise SpecError(f"attacks.{name}.planting: resources.training_workers: {PLANTING}")


def _check_attack(spec: CampaignSpec, base: Foundation, name: str, attack: Attack) -> None:
    """Build what the attack names, and look up its target."""
    where = f"attacks.{name}"

    def check(part: str, action: Callable[[], object]) -> None:
        try:
            action()
        except TbarError as error:
            raise SpecError(f"{where}{part}: {error}") from None
        except ValueError as error:
            raise SpecError(f"{where}{part}: {str(error).splitlines()[-1].strip()}") from None

    check("", lambda: build_trigger(*resolve(attack.trigger, attack.parameters), spec.seed))
    check(".planting", lambda: build_planting(attack.planting.method, attack.planting.parameters))
    check(".patch.parameters", lambda: PatchOptimisation(**attack.patch.parameters))
    if (merge := attack.merge) is not None:
        check(".merge", lambda: build_merge(merge.method, merge.parameters))
    if PLANTINGS[attack.planting.method].needs_head and attack.task is None:
        raise SpecError(f"{where}.planting: {attack.planting.method} is of the single-task setting; give 'task'")
    names = () if base.missing else _classes_of(spec, base, attack)
    if names:
        check(".target", lambda: find_class(attack.target, names))
    if "merged" in spec.evaluation.downstream and another_task(spec, attack) is None:
        raise SpecError(
            f"evaluation.downstream: 'merged' adds another task's vector, and there is none for {where}; give it a "
            f"task and list another under 'tasks', or leave 'merged' out"
        )
    learned = TRIGGERS[resolve(attack.trigger, attack.parameters)[0]].learned
    if learned and attack.infected is not None:
        raise SpecError(
            f"{where}.trigger: the patch of {attack.trigger} is optimised by its attacker; of a given model, give the "
            f"patch as a trigger with its pixels"
        )
    if learned and attack.task is not None:
        raise SpecError(f"{where}.trigger: the patch of {attack.trigger} is optimised on pairs; leave 'task' out")


def _classes_of(spec: CampaignSpec, base: Foundation, attack: Attack) -> tuple[str, ...]:
    from tbar_ray.data.benchmark_layout import read_lines
    from tbar_ray.data.layout import CLASSNAMES
    from tbar_ray.data.synthetic.scenes import CLASS_NAMES

    scored = base.evaluation if attack.task is None else base.tasks[attack.task]
    if isinstance(scored, ImportedSet):
        return scored.classnames
    if attack.task is not None:
        task = spec.tasks[attack.task]
        if task.synthetic is not None:
            return tuple(TASKS[task.synthetic].classnames)
        assert task.url is not None
        return tuple(read_lines(task.url, CLASSNAMES))
    if spec.data.synthetic is not None:
        return tuple(CLASS_NAMES)
    assert spec.data.evaluation is not None
    return tuple(read_lines(spec.data.evaluation, CLASSNAMES))


def _check_inversion(spec: CampaignSpec) -> None:
    """Make sure that the search for the trigger exists, and fits the campaign."""
    from tbar_ray.inversion.registry import INVERTERS

    if (name := spec.defender.inversion) is None:
        return
    place = f"inversions.{name}" if name in spec.inversions else "defender.inversion"
    try:
        search = build_search(spec, name)
    except SpecError as error:
        raise SpecError(f"{place}: {error}") from None
    if not search.finds_trigger:
        others = ", ".join(known for known, kind in INVERTERS.items() if kind.finds_trigger)
        raise SpecError(
            f"{place}: {search.name!r} is a detector: it finds no trigger to unlearn with; take one of {others}"
        )
    if spec.poison.plant == "together":
        raise SpecError("defender.inversion: several backdoors in one model cannot be told apart; plant 'separately'")


def _check_methods(spec: CampaignSpec, methods: list[str]) -> None:
    """Build every method and check what it needs."""
    for name in methods:
        try:
            method = build_method(spec, name)
        except SpecError as error:
            raise SpecError(f"methods.{name}: {error}" if name in spec.methods else str(error)) from None
        given = [attack for attack, about in spec.attacks.items() if about.infected is not None]
        if given and "training pairs" in method.needs:
            raise SpecError(
                f"attacks.{given[0]}.infected: method {name!r} needs pairs that the attacker trained on, which are "
                f"unknown for a given model"
            )
        lack = lacking(spec, method.needs)
        if lack is not None:
            raise SpecError(f"method {name!r} needs the defender's {lack[0]}, and there is none; {lack[1]}")


def _check_sizes(spec: CampaignSpec, methods: Sequence[str], samples: int | None) -> None:
    """Compare the requested sizes with the corpus, where its size is known before reading it."""
    if samples is None:
        return
    pairs = min(spec.poison.pairs or samples, samples)
    if spec.poison.pairs is not None and spec.poison.pairs > samples:
        raise SpecError(f"poison.pairs: {spec.poison.pairs} asked for, but the corpus has {samples}")
    for name, attack in spec.attacks.items():
        if attack.task is not None:
            continue
        count = attack.poison.count or spec.poison.count
        if count is not None and count > pairs:
            raise SpecError(f"attacks.{name}: poison.count: {count} of {pairs} pairs cannot be poisoned")
        rate = poisoning_rate(spec, name)
        poisoned = round(rate * pairs) if rate is not None else count or 0
        if spec.forget.size > samples - poisoned:
            raise SpecError(
                f"forget.size: {spec.forget.size} images asked for, but {samples} samples less {poisoned} poisoned "
                f"leave {samples - poisoned}"
            )
        if spec.evaluation.rebound is None:
            continue
        # the sets of one defender may overlap, and training pairs be poisoned ones
        clean, training = _pairs_held(spec, methods)
        held = max(spec.forget.size, clean, training - poisoned)
        if samples - poisoned - held < LEAST:
            raise SpecError(
                f"evaluation.rebound: no clean pairs are left: {samples} samples less {poisoned} poisoned and "
                f"{held} that the defender holds; lower one of them, or give more data"
            )


def _pairs_held(spec: CampaignSpec, methods: Sequence[str]) -> tuple[int, int]:
    """Numbers of clean and of training pairs that one of some methods holds."""
    needs = frozenset[str]().union(*(build_method(spec, name).needs for name in methods))
    defender = spec.defender
    return (
        defender.clean_pairs if "clean pairs" in needs else 0,
        defender.training_pairs if "training pairs" in needs else 0,
    )
