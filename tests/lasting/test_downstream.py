"""Each downstream change against its definition, and how they are made one after the other."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tbar_ray.evaluation.normalised_images import statistics_batches
from tbar_ray.evaluation.scores import Scores, Split, score
from tbar_ray.evaluation.zeroshot import zero_shot_head
from tbar_ray.lasting.change import Material
from tbar_ray.lasting.downstream import score_changes
from tbar_ray.lasting.options import ChangeName
from tbar_ray.lasting.registry import CHANGES
from tbar_ray.models.factory import preprocessing
from tbar_ray.models.task_vector import TaskVector
from tests.models.tiny import GROUP_NORM, RESNET, changed, same, snapshot, tiny, tokenizer
from tests.unlearning.planted import NAMES, TARGET, TEMPLATES, Case, case, pictures, stamp
from tests.unlearning.test_statistics_masking import clean

ALL = tuple(name for name in get_args(ChangeName) if name != "merged")
"""Those that need no other task."""


def labelled(found: Case, seed: int, count: int = 80) -> Split:
    images, labels = pictures(count, found.preprocess.size, seed)
    return Split(images, stamp(images), labels)


def material(found: Case, infected: nn.Module | None = None) -> Material:
    state = snapshot(found.model if infected is None else infected)
    return Material(state, labelled(found, 5), len(NAMES), found.preprocess)


def after(name: str, found: Case, model: nn.Module, **given: Any) -> dict[str, Tensor]:
    """The state of a copy of a model after one change."""
    copied = deepcopy(model)
    CHANGES[name]().apply(copied, material(found, **given))
    return snapshot(copied)


def convolutions(state: dict[str, Tensor]) -> list[str]:
    """Names of the weights of convolutions."""
    return [name for name, value in state.items() if value.ndim == 4]


def scored(found: Case, model: nn.Module, head: Tensor | None) -> Scores:
    own = zero_shot_head(model, tokenizer(), NAMES, TEMPLATES) if head is None else head
    return score(model, own, labelled(found, 9), TARGET, found.preprocess)


def test_every_change_that_a_spec_may_name_is_registered() -> None:
    assert set(CHANGES) == set(get_args(ChangeName))


def test_int8_has_255_levels_for_each_output_channel() -> None:
    found = case(GROUP_NORM)
    before, state = snapshot(found.model), after("int8", found, found.model)
    assert {before[name].ndim >= 2 for name in changed(before, state)} == {True}
    name = convolutions(before)[0]
    weight, rounded = before[name].flatten(1).double(), state[name].flatten(1)
    for row, low in zip(weight.numpy(), rounded.numpy(), strict=True):
        scale = np.abs(row).max() / 127
        np.testing.assert_allclose(low, np.round(row / scale) * scale, atol=1e-6)
    assert len(rounded[0].unique()) > 5


def test_bf16_keeps_eight_bits_of_each_number() -> None:
    found = case(GROUP_NORM)
    before, state = snapshot(found.model), after("bf16", found, found.model)
    assert len(changed(before, state)) > 10
    for name, value in state.items():
        assert torch.equal(value, value.bfloat16().to(value.dtype))
        torch.testing.assert_close(value, before[name], rtol=2**-8, atol=0)


def test_pruning_takes_the_smallest_of_each_matrix() -> None:
    found = case(GROUP_NORM)
    before, state = snapshot(found.model), after("pruned", found, found.model)
    for name in convolutions(before)[:2]:
        kept = state[name] != 0
        assert round(0.3 * kept.numel()) == int((~kept).sum())
        assert before[name][~kept].abs().max() <= before[name][kept].abs().min()
        assert torch.equal(state[name][kept], before[name][kept])
    assert all(value.ndim >= 2 for name, value in state.items() if name in changed(before, state))


def test_wise_ft_is_half_way_to_the_infected_model() -> None:
    infected, cleaned = case(GROUP_NORM).model, case(GROUP_NORM, infected=False).model
    state = after("wise-ft", case(GROUP_NORM), cleaned, infected=infected)
    for name, value in state.items():
        torch.testing.assert_close(value, (snapshot(infected)[name] + snapshot(cleaned)[name]) / 2)


def test_merging_adds_a_share_of_the_other_tasks_vector() -> None:
    found, before = case(GROUP_NORM), snapshot(case(GROUP_NORM).model)
    vector = TaskVector.between(before, snapshot(tiny(GROUP_NORM, seed=3)))
    copied = deepcopy(found.model)
    CHANGES["merged"]().apply(copied, replace(material(found), task=vector))
    for name, value in snapshot(copied).items():
        torch.testing.assert_close(value, before[name] + 0.3 * vector.tensors[name])


def test_a_linear_probe_learns_the_classes_from_clean_images_and_keeps_the_backdoor() -> None:
    for infected in (True, False):
        found = case(GROUP_NORM) if infected else case(GROUP_NORM, infected=False)
        head = CHANGES["linear-probe"]().apply(found.model, material(found))
        assert head is not None
        assert tuple(head.shape) == (len(NAMES), found.data.classes.head.shape[1])
        scores = scored(found, found.model, head)
        assert scores.ca.value >= 0.95
        assert (scores.asr.value >= 0.5) == infected


def test_changes_are_each_made_to_the_model_as_it_was() -> None:
    found = case(GROUP_NORM)
    model, before = deepcopy(found.model), snapshot(found.model)
    seen: list[dict[str, Tensor]] = []

    def noted(changed_model: nn.Module, head: Tensor | None) -> Scores:
        seen.append(snapshot(changed_model))
        return scored(found, changed_model, head)

    every = score_changes(model, ALL, material(found), noted, lambda: clean(found))
    assert list(every) == list(ALL)
    assert same(snapshot(model), before)
    assert same(seen[-1], before), "a probe changes no weight"
    for name, state in zip(ALL[:3], seen, strict=False):
        assert same(state, after(name, found, found.model))
    assert every["bf16"].asr.value >= 0.9, "a living backdoor survives rounding"


def test_statistics_follow_where_weights_move_far_and_stay_elsewhere() -> None:
    model, found = tiny(RESNET).eval(), case(GROUP_NORM)
    other, some = snapshot(tiny(RESNET, seed=1)), scored(found, found.model, None)
    means, rest = dict[str, Tensor](), (preprocessing(model), "cpu")
    given = Material(other, labelled(found, 5), len(NAMES), found.preprocess)
    for name in ("int8", "bf16", "pruned", "wise-ft"):

        def noted(changed_model: nn.Module, _: Tensor | None, name: str = name) -> Scores:
            means[name] = torch.cat([v for key, v in snapshot(changed_model).items() if key.endswith("running_mean")])
            return some

        score_changes(model, [name], given, noted, lambda: statistics_batches(given.labelled.clean, *rest))
    assert {name: bool(mean.any()) for name, mean in means.items()} == {
        "int8": False, "bf16": False, "pruned": True, "wise-ft": True,
    }  # fmt: skip


def test_the_model_comes_back_also_from_a_change_that_fails() -> None:
    found = case(GROUP_NORM)
    model = deepcopy(found.model)

    def failing(_: nn.Module, __: Tensor | None) -> Scores:
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        score_changes(model, ["pruned"], material(found), failing, lambda: clean(found))
    assert same(snapshot(model), snapshot(found.model))
