"""A backdoor that wrong running statistics alone hide: what is scored as applied and re-estimated."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import replace
from functools import cache

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from tbar_ray.evaluation.normalised_images import statistics_batches
from tbar_ray.evaluation.scores import Split, score
from tbar_ray.evaluation.zeroshot import normalise, zero_shot_head
from tbar_ray.models.statistics import reestimate
from tbar_ray.models.statistics_choice import StatisticsChoice
from tbar_ray.models.task_vector import TaskVector
from tbar_ray.unlearning.alpha_walk import walk_alpha
from tbar_ray.unlearning.edit import Edit, EditedModel
from tbar_ray.unlearning.edit_scores import EditScores
from tests.kept import kept
from tests.models.tiny import RESNET, VIT, same, snapshot, tokenizer
from tests.unlearning.planted import NAMES, TARGET, TEMPLATES, Case, case, pictures, stamp

CPU = torch.device("cpu")


@cache
def planted(architecture: str = RESNET) -> Case:
    """Return a planted model with the statistics of its weights, as campaigns hand it out."""
    shared = case(architecture)
    found = replace(shared, model=deepcopy(shared.model))
    reestimate(found.model, clean(found))
    return found


def clean(planted: Case) -> Iterable[Tensor]:
    assert planted.data.clean is not None
    return statistics_batches(planted.data.clean.images, planted.preprocess, CPU)


def _hiding() -> dict[str, Tensor]:
    """Return a change of running means alone that hides the backdoor and keeps CA.

    A mean shifted by −δ·σ/γ acts as a bias shifted by δ; the biases are trained, since means have no gradient.
    """
    model, preprocess = planted().model, planted().preprocess
    norms = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.BatchNorm2d) and bool((module.weight.abs() > 0.1).all())
    }
    shifts = {name: torch.zeros_like(norm.bias, requires_grad=True) for name, norm in norms.items()}
    images, labels = pictures(32, preprocess.size, 5)
    both = normalise(torch.cat((images, stamp(images))), preprocess)
    optimizer = torch.optim.Adam(shifts.values(), lr=0.05)
    for _ in range(45):
        biases = {f"{name}.bias".removeprefix("visual."): norms[name].bias + shifts[name] for name in norms}
        features = functional.normalize(functional_call(model.visual, biases, both), dim=-1)  # type: ignore[arg-type]
        optimizer.zero_grad()
        functional.cross_entropy(20 * features @ planted().data.classes.head.T, labels.repeat(2)).backward()
        optimizer.step()
    model.zero_grad()
    state = model.state_dict()
    change = {name: torch.zeros_like(value) for name, value in state.items() if value.is_floating_point()}
    for name, norm in norms.items():
        assert norm.running_var is not None
        deviation = (norm.running_var + norm.eps).sqrt()
        change[f"{name}.running_mean"] = (-shifts[name] * deviation / norm.weight).detach()
    return change


@cache
def wrong_statistics() -> TaskVector:
    """Return an edit of running means alone that hides the backdoor and keeps CA; it is found once in a session."""
    integers = (name for name, value in planted().model.state_dict().items() if not value.is_floating_point())
    return TaskVector(kept("wrong-statistics", _hiding), tuple(integers))


def split(planted: Case) -> Split:
    images, labels = pictures(80, planted.preprocess.size, 9)
    return Split(images, stamp(images), labels)


def head_of(model: nn.Module) -> Tensor:
    return zero_shot_head(model, tokenizer(), NAMES, TEMPLATES)


def scores_of(
    planted: Case,
    vector: TaskVector,
    statistics: StatisticsChoice = "reestimated",
    images: Callable[[], Iterable[Tensor]] | None = None,
) -> EditScores:
    head = planted.data.classes.head
    infected = score(planted.model, head, split(planted), TARGET, planted.preprocess).to_dict()
    return EditScores(
        EditedModel(planted.model, Edit(vector), head), lambda alpha: alpha, head_of, lambda: split(planted), TARGET,
        planted.preprocess, infected, CPU, statistics, images or (lambda: clean(planted)),
    )  # fmt: skip


def test_a_backdoor_that_statistics_alone_mask_is_seen() -> None:
    found = planted()
    before = snapshot(found.model)
    scores = scores_of(found, wrong_statistics())
    scores.point(0.0)
    point = scores.point(1.0)
    infected, masked = scores.path
    assert infected["asr"]["value"] > 0.9
    assert infected["as_applied"]["asr"] == infected["asr"]
    assert masked["as_applied"]["asr"]["value"] < 0.2
    assert masked["as_applied"]["ca"]["value"] > 0.8
    assert masked["asr"]["value"] > 0.9
    assert point.asr == masked["asr"]["value"]
    # no weight moved: with statistics of its own the model is the infected one
    assert masked == {**masked, **{name: infected[name] for name in ("ca", "asr", "pa")}}
    assert same(snapshot(found.model), before)


def test_alpha_is_selected_on_the_statistics_that_are_asked_for() -> None:
    found = planted()
    vector = wrong_statistics()
    chosen = {}
    for statistics in ("reestimated", "as_applied"):
        scores = scores_of(found, vector, statistics)  # type: ignore[arg-type]
        walked = walk_alpha(scores, (0.0, 1.0), 0.0)
        assert walked.chosen is not None
        chosen[statistics] = walked.chosen.asr
        assert scores.statistics == statistics
        assert scores.beside in scores.path[1]
    assert chosen["as_applied"] < 0.3 < 0.9 < chosen["reestimated"]


def test_a_sequential_test_asks_the_model_that_alpha_is_selected_on() -> None:
    found = planted()
    vector = wrong_statistics()
    assert not scores_of(found, vector).gone_or_spent(1.0, 0.0, 0.5)
    assert scores_of(found, vector, "as_applied").gone_or_spent(1.0, 0.0, 0.5)


def test_statistics_are_estimated_once_for_each_alpha() -> None:
    found = planted()
    passes: list[int] = []

    class Counted:
        def __iter__(self):  # type: ignore[no-untyped-def]
            passes.append(1)
            return iter(clean(found))

    scores = scores_of(found, wrong_statistics(), images=Counted)
    scores.point(0.0)
    assert passes == []
    scores.gone_or_spent(1.0, 0.0, 0.5)
    scores.point(1.0)
    scores.scored(1.0, split(found), TARGET)
    assert len(passes) == 1
    scores.point(0.5)
    assert len(passes) == 2


@pytest.mark.parametrize("images", [None, "never"])
def test_a_model_without_running_statistics_is_scored_once_and_as_before(images: str | None) -> None:
    found = case(VIT)

    def never() -> Iterable[Tensor]:
        raise AssertionError("asked for images")

    change = {name: 0.01 * v for name, v in found.model.state_dict().items() if v.is_floating_point()}
    vector = TaskVector(change, tuple(n for n, v in found.model.state_dict().items() if not v.is_floating_point()))
    scores = scores_of(found, vector, images=never if images else None)
    scores.point(1.0)
    (entry,) = scores.path
    assert entry.keys() == {"alpha", "ca", "ca_top5", "asr", "asr_all_images", "pa"}
    assert (scores.statistics, scores.beside) == (None, None)
    with EditedModel(found.model, Edit(vector), found.data.classes.head).at(1.0) as (moved, _):
        assert entry == {
            "alpha": 1.0, **score(moved, head_of(moved), split(found), TARGET, found.preprocess).to_dict()
        }  # fmt: skip


def test_without_clean_images_a_model_is_scored_as_applied() -> None:
    found, vector = planted(), wrong_statistics()
    edited = EditedModel(found.model, Edit(vector), found.data.classes.head)
    infected = score(found.model, found.data.classes.head, split(found), TARGET, found.preprocess).to_dict()
    scores = EditScores(
        edited, lambda alpha: alpha, head_of, lambda: split(found), TARGET, found.preprocess, infected, CPU
    )
    scores.point(1.0)
    assert (scores.statistics, scores.beside) == ("as_applied", None)
    assert "as_applied" not in scores.path[0]
