"""Checks before hours are spent: everything in a spec that can be known to be wrong is an error now."""

from __future__ import annotations

from pathlib import Path

from tbar_ray.campaign.graph import Foundation
from tbar_ray.campaign.spec import CampaignSpec
from tbar_ray.errors import SpecError
from tbar_ray.models.architectures import architecture_config
from tbar_ray.naming import nearest
from tbar_ray.triggers.registry import build_trigger
from tbar_ray.unlearning.registry import build_unlearner


def check_spec(spec: CampaignSpec, base: Foundation) -> None:
    """Raise SpecError for names that do not exist and sizes that cannot be had."""
    architecture_config(spec.model.architecture)
    weights = spec.model.pretrained
    is_file = weights is not None and Path(weights).suffix in {".safetensors", ".pt", ".pth", ".bin"}
    if weights is not None and is_file and not Path(weights).is_file():
        raise SpecError(f"model.pretrained: no file {weights}")
    for name, attack in spec.attacks.items():
        try:
            build_trigger(attack.trigger, attack.parameters, spec.seed)
        except SpecError as error:
            raise SpecError(f"attacks.{name}: {error}") from None
    _check_targets(spec)
    _check_methods(spec)
    _check_sizes(spec, base.samples)


def _check_targets(spec: CampaignSpec) -> None:
    if spec.data.synthetic is not None:
        from tbar_ray.data.scenes import CLASS_NAMES

        names = tuple(CLASS_NAMES)
    else:
        from tbar_ray.data.evaluation_set import read_lines

        assert spec.data.evaluation is not None
        names = tuple(read_lines(spec.data.evaluation, "classnames.txt"))
    for name, attack in spec.attacks.items():
        if attack.target not in names:
            raise SpecError(
                f"attacks.{name}.target: {attack.target!r} is not a class of the evaluation set"
                f"{nearest(attack.target, names)}"
            )


def _check_methods(spec: CampaignSpec) -> None:
    methods = spec.search.axes.get("method", [spec.unlearning.method])
    for method in methods if isinstance(methods, list) else []:
        build_unlearner(method, spec.unlearning.parameters)
    if "learning_rate" in spec.search.axes:
        for method in methods if isinstance(methods, list) else []:
            build_unlearner(method, {**spec.unlearning.parameters, "learning_rate": 1e-5})


def _check_sizes(spec: CampaignSpec, samples: int | None) -> None:
    """Compare what is asked for with the corpus, where its size is known before reading it."""
    if samples is None:
        return
    pairs = min(spec.poison.pairs or samples, samples)
    if spec.poison.pairs is not None and spec.poison.pairs > samples:
        raise SpecError(f"poison.pairs: {spec.poison.pairs} asked for, but the corpus has {samples}")
    if spec.poison.count is not None and spec.poison.count > pairs:
        raise SpecError(f"poison.count: {spec.poison.count} of {pairs} pairs cannot be poisoned")
    rates = _values(spec, "poisoning_rate", spec.poison.rate or 0)
    poisoned = spec.poison.count or round(max(rates) * pairs)
    largest = int(max(_values(spec, "forget_size", spec.forget.size)))
    if largest > samples - poisoned:
        raise SpecError(
            f"forget.size: {largest} images asked for, but {samples} samples less {poisoned} poisoned "
            f"leave {samples - poisoned}"
        )


def _values(spec: CampaignSpec, axis: str, default: float) -> list[float]:
    chosen = spec.search.axes.get(axis)
    if chosen is None:
        return [default]
    return [float(v) for v in chosen] if isinstance(chosen, list) else [chosen.low, chosen.high]
