"""What every method demands: a seed that alone decides, what it needs, triggered images, and losses that are finite."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from tbar_ray.errors import DataError, ScientificError
from tbar_ray.unlearning.base import Unlearner
from tbar_ray.unlearning.defender import DefenderData, Need
from tbar_ray.unlearning.registry import UNLEARNERS, build_unlearner
from tests.models.tiny import RESNET, VIT, same, snapshot
from tests.unlearning.planted import Case, case
from tests.unlearning.test_mechanisms import RECIPES


def quick(name: str) -> Unlearner:
    """Return a method that does a little of everything that it does."""
    few = {
        "steps": 2, "warmup_steps": 0, "batch_size": 8, "coefficient_steps": 2, "fisher_images": 8, "permutations": 1,
        "images": 2, "group": 64, "floor": -100.0, "levels": 2, "unlearning_steps": 2, "ascent_steps": 2, "rounds": 1,
        "inner_steps": 1, "outer_steps": 1, "inversion_steps": 2, "weakening_steps": 2, "threshold": 0.5,
    }  # fmt: skip
    known = UNLEARNERS[name].model_fields
    return build_unlearner(name, {key: value for key, value in few.items() if key in known})


def least(name: str) -> str:
    """Return the smallest architecture that a method can be tried on."""
    return VIT if RECIPES[name].architecture == VIT else RESNET


def planted_for(name: str) -> Case:
    planted = case(least(name))
    return dataclasses.replace(planted, data=fewer(planted.data))


def fewer(data: DefenderData, rows: int = 64) -> DefenderData:
    """Return a part of what a defender has: what is demanded does not depend on how much it is."""
    held = {"forget": data.forget, "clean": data.clean, "training": data.training}
    parts = {
        name: dataclasses.replace(part, **{f.name: getattr(part, f.name)[:rows] for f in dataclasses.fields(part)})
        for name, part in held.items()
        if part is not None
    }
    return dataclasses.replace(data, **parts)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", RECIPES)
def test_the_seed_alone_decides(name: str) -> None:
    planted, method = planted_for(name), quick(name)
    first, again = (method.unlearn(planted.model, planted.data, planted.preprocess, 3) for _ in range(2))
    assert same(first.edit.vector.tensors, again.edit.vector.tensors)
    for one, other in ((first.edit.head, again.edit.head), (first.edit.prompts, again.edit.prompts)):
        assert (one is None) == (other is None)
        assert one is None or torch.equal(one, other)  # type: ignore[arg-type]
    assert (first.record.steps, first.record.samples) == (again.record.steps, again.record.samples)
    assert all(bool(torch.isfinite(tensor).all()) for tensor in first.edit.vector.tensors.values())


def without(data: DefenderData, need: Need) -> DefenderData:
    """Return the data of a defender who lacks one thing, and what follows from it."""
    lost: dict[Need, dict[str, None]] = {
        "trigger": {"stamp": None, "forget": None},
        "target": {"target": None, "forget": None},
        "forget set": {"forget": None},
        "clean pairs": {"clean": None},
        "training pairs": {"training": None},
    }
    return dataclasses.replace(data, **lost[need])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "need"), [(name, need) for name in RECIPES for need in sorted(UNLEARNERS[name].needs)]
)
def test_a_method_without_what_it_needs_says_so(name: str, need: Need) -> None:
    planted = planted_for(name)
    with pytest.raises(DataError, match=rf"^{name} needs the defender's .*; (list|set|the forget set)") as caught:
        quick(name).unlearn(planted.model, without(planted.data, need), planted.preprocess, 0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [name for name in RECIPES if "forget set" in UNLEARNERS[name].needs])
def test_a_forget_set_without_a_triggered_image_is_refused(name: str) -> None:
    planted = planted_for(name)
    forget = planted.data.forget
    assert forget is not None
    clean = dataclasses.replace(forget, triggered=torch.zeros_like(forget.triggered))
    data = dataclasses.replace(planted.data, forget=clean)
    with pytest.raises(DataError, match=rf"^{name}: the forget set has no triggered image; lower forget.clean_fracti"):
        quick(name).unlearn(planted.model, data, planted.preprocess, 0)


DIVERGE = sorted(name for name in RECIPES if name not in ("shapley-pruning", "backdoor-directions", "rnp"))


@pytest.mark.parametrize("name", DIVERGE)
def test_a_method_that_diverges_fails_with_its_reason_and_leaves_the_model(name: str) -> None:
    planted = planted_for(name)
    broken = dataclasses.replace(planted.data.classes, head=planted.data.classes.head * float("nan"))
    model, state = planted.model, snapshot(planted.model)
    with torch.no_grad():
        kept = model.logit_scale.clone()
        model.logit_scale.fill_(float("nan"))
    try:
        with pytest.raises((ScientificError, DataError)) as caught:
            quick(name).unlearn(model, dataclasses.replace(planted.data, classes=broken), planted.preprocess, 0)
    finally:
        with torch.no_grad():
            model.logit_scale.copy_(kept)
    assert "\n" not in str(caught.value)
    assert same(state, snapshot(model))


@pytest.mark.parametrize("name", ["rvpt"])
def test_a_method_of_transformers_refuses_others(name: str) -> None:
    planted = case(RESNET)
    with pytest.raises(ScientificError, match="rvpt needs a vision transformer"):
        quick(name).unlearn(planted.model, planted.data, planted.preprocess, 0)
