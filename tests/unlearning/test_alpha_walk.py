"""An edited model at any α on validation images, and the walk that selects one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tbar_ray.errors import SpecError
from tbar_ray.evaluation.scores import Split, score
from tbar_ray.evaluation.zeroshot import zero_shot_head
from tbar_ray.models.task_vector import TaskVector
from tbar_ray.unlearning.alpha_walk import walk_alpha
from tbar_ray.unlearning.edit import Edit, EditedModel
from tbar_ray.unlearning.edit_scores import EditScores
from tests.models.tiny import snapshot, tokenizer
from tests.unlearning.planted import NAMES, TARGET, TEMPLATES, case, pictures, stamp
from tests.unlearning.test_edit import change as any_change

ALPHAS = (0.0, 2.0, 1.0)


def change(prefix: str = "visual.") -> TaskVector:
    """Return a change of weights; BatchNorm's statistics stay, since a variance must not become negative."""
    drawn = any_change(case().model, prefix, 0.02)
    still = {name: value * float("running" not in name) for name, value in drawn.tensors.items()}
    return TaskVector(still, drawn.integer_buffers)


def split() -> Split:
    images, labels = pictures(40, case().preprocess.size, 9)
    return Split(images, stamp(images), labels)


def head_of(model: nn.Module) -> Tensor:
    return zero_shot_head(model, tokenizer(), NAMES, TEMPLATES)


def scores_of(vector: TaskVector, loads: list[int] | None = None) -> EditScores:
    planted = case()
    head = planted.data.classes.head

    def load() -> Split:
        if loads is not None:
            loads.append(1)
        return split()

    infected = score(planted.model, head, split(), TARGET, planted.preprocess).to_dict()
    edited = EditedModel(planted.model, Edit(vector), head)
    device = torch.device("cpu")
    return EditScores(edited, lambda alpha: -alpha, head_of, load, TARGET, planted.preprocess, infected, device)


def expected(vector: TaskVector, alpha: float) -> tuple[float, float]:
    """Score a model whose weights were written anew, with a head of its own."""
    planted, state = case(), snapshot(case().model)
    try:
        planted.model.load_state_dict(state + -alpha * vector)
        found = score(planted.model, head_of(planted.model), split(), TARGET, planted.preprocess)
    finally:
        planted.model.load_state_dict(state)
    return found.ca.value, found.asr.value


def test_points_are_the_scores_of_the_moved_model() -> None:
    for prefix in ("visual.", ""):  # with the text tower moved, the classifier moves as well
        vector = change(prefix)
        scores = scores_of(vector)
        for alpha in ALPHAS:
            point = scores.point(alpha)
            assert (point.ca, point.asr) == expected(vector, alpha)


def test_each_alpha_is_scored_once_and_images_are_loaded_when_needed() -> None:
    loads: list[int] = []
    scores = scores_of(change(), loads)
    scores.point(0.0)
    assert loads == []
    assert [scores.point(1.0), scores.point(1.0)][0] is scores.point(1.0)
    assert (len(loads), len(scores.path)) == (1, 2)


def test_a_grid_keeps_its_order_and_a_bisection_sorts() -> None:
    vector = change()
    grid = scores_of(vector)
    walked = walk_alpha(grid, ALPHAS, 0.0)
    assert [entry["alpha"] for entry in grid.path] == [point.alpha for point in walked.points] == list(ALPHAS)
    assert walked.monotone is None
    halved = scores_of(vector)
    found = walk_alpha(halved, ALPHAS, 0.0, search="bisection")
    assert [entry["alpha"] for entry in halved.path] == sorted(entry["alpha"] for entry in halved.path)
    assert found.monotone is not None
    assert len(halved.sequential_tests) > 0


def test_a_sequential_test_answers_for_the_moved_model() -> None:
    vector = change()
    scores = scores_of(vector)
    for alpha in (0.0, 2.0):
        ca, asr = expected(vector, alpha)
        assert scores.gone_or_spent(alpha, 0.0, asr)
        assert scores.gone_or_spent(alpha, ca + 0.01, -1.0)
        assert not scores.gone_or_spent(alpha, ca, asr - 0.01)


def test_points_may_be_watched() -> None:
    scores = scores_of(change())
    seen: list[float] = []

    def watched(alpha: float):  # type: ignore[no-untyped-def]
        seen.append(alpha)
        return scores.point(alpha)

    walk_alpha(scores, ALPHAS, 0.0, point=watched)
    assert seen == list(ALPHAS)


def test_the_strongest_alpha_that_keeps_enough_accuracy() -> None:
    scores = scores_of(change())
    alphas = (0.0, 0.01, 0.02)  # so small a change moves no answer
    assert walk_alpha(scores, alphas, 0.9, 1.0).chosen == scores.point(0.0)
    assert walk_alpha(scores, alphas, 0.9, 1.0, prefer="strength").chosen == scores.point(0.02)


def test_the_strongest_alpha_is_no_matter_for_a_bisection() -> None:
    with pytest.raises(SpecError, match="whole grid"):
        walk_alpha(scores_of(change()), ALPHAS, 0.9, search="bisection", prefer="strength")
