"""The model that something is done to after its cleaning: whose classifier answers, and when there is none."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tbar_ray.planning.planner import Planner
from tbar_ray.stages import alpha_scores
from tbar_ray.stages.alpha_path import AlphaPath
from tbar_ray.stages.subject import subject_of
from tbar_ray.store.store import Store
from tbar_ray.unlearning.edit import Edit
from tests.models.tiny import same, snapshot
from tests.specs import spec
from tests.stages.cleaned import WANTED

CPU = torch.device("cpu")


def path_of(**changes: Any) -> AlphaPath:
    return Planner(spec(**{**WANTED, **changes})).plan({}).graph.path


def test_without_a_path_it_is_the_scorers_model_and_with_one_the_cleaned_model(cleaned: Store) -> None:
    path = path_of()
    with subject_of(path.infected, None, cleaned, CPU) as infected:
        assert infected is not None
        before, own = snapshot(infected.model), infected.score(infected.model)
    with subject_of(path.infected, path, cleaned, CPU) as subject:
        assert subject is not None
        assert not same(snapshot(subject.model), before)
        assert subject.score(subject.model) != own


def test_a_zero_shot_head_moves_with_the_text_tower_and_an_edits_own_classifier_stays(
    cleaned: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = path_of()
    with subject_of(path.infected, path, cleaned, CPU) as subject:
        assert subject is not None
        before = subject.score(subject.model).ca.value
        with torch.no_grad():
            subject.model.text_projection.neg_()  # type: ignore[operator, union-attr]
        assert subject.score(subject.model).ca.value < before
    data = path.infected.open_data(cleaned)
    _, head, _ = path.infected.load_model(cleaned, CPU, data)
    plain = Edit.load
    monkeypatch.setattr(alpha_scores.Edit, "load", lambda folder: Edit(plain(folder).vector, head.clone()))
    with subject_of(path.infected, path, cleaned, CPU) as subject:
        assert subject is not None
        before = subject.score(subject.model).ca.value
        with torch.no_grad():
            subject.model.text_projection.neg_()  # type: ignore[operator, union-attr]
        assert subject.score(subject.model).ca.value == before
        assert subject.score_with(subject.model, -head).ca.value < before, "unless another is given"
