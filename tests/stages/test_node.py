from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest
from pydantic import Field, ValidationError

from tbar_ray.planning.graph import TrialGraph
from tbar_ray.planning.planner import Planner
from tbar_ray.stages.backdoor import Backdoor
from tbar_ray.stages.data import GivenData, SyntheticCorpus, SyntheticEvaluation, SyntheticRetrieval
from tbar_ray.stages.evaluate import Evaluate
from tbar_ray.stages.models import PretrainedModel
from tbar_ray.stages.node import INSIGNIFICANT, Given, Node, Policy, Stage, StageContext, stages_in_order
from tbar_ray.store.store import Store
from tests.specs import spec

CORPUS: dict[str, Any] = {"samples": 400, "size": 16, "samples_per_shard": 100, "seed": 0}


def graph(**changes: Any) -> TrialGraph:
    (first, *_) = Planner(spec(**changes)).grid()
    return first.graph


class Leaf(Stage):
    kind: ClassVar[str] = "leaf"

    parameters: dict[str, Any] = Field(default_factory=dict)
    label: Annotated[str, INSIGNIFICANT] = ""


class Join(Stage):
    kind: ClassVar[str] = "join"

    left: Node
    right: Node


def test_fingerprint_is_sixteen_hex_digits_of_a_canonical_text() -> None:
    corpus = SyntheticCorpus(**CORPUS)
    assert int(corpus.fingerprint, 16) >= 0
    assert len(corpus.fingerprint) == 16
    assert corpus.artifact == f"corpus-{corpus.fingerprint}"
    assert SyntheticCorpus(**dict(reversed(CORPUS.items()))).fingerprint == corpus.fingerprint


def test_golden_fingerprint() -> None:
    """If this changes, every store in use is computed again: was that meant?"""
    corpus = SyntheticCorpus(**CORPUS)
    assert json.dumps(corpus.identity(), sort_keys=True) == (
        '{"kind": "corpus", "samples": 400, "samples_per_shard": 100, "seed": 0, "size": 16, '
        '"threads": 1, "version": 1}'
    )
    assert corpus.fingerprint == "6127ecb064a67c1f"


@pytest.mark.parametrize("field", ["samples", "size", "samples_per_shard", "seed", "threads"])
def test_every_counted_field_counts(field: str) -> None:
    base = {**CORPUS, "threads": 1}
    changed = SyntheticCorpus(**{**base, field: base[field] + 1})
    assert changed.fingerprint != SyntheticCorpus(**base).fingerprint


def test_a_field_that_came_later_counts_once_it_is_used() -> None:
    for stage, fields in (
        (SyntheticCorpus, CORPUS),
        (SyntheticEvaluation, {"per_class": 1, "size": 16, "seed": 0}),
        (SyntheticRetrieval, {"pairs": 1, "size": 16, "seed": 0}),
    ):
        older, plain, rich = stage(**fields), stage(**fields, scenes="plain"), stage(**fields, scenes="rich")
        assert "scenes" not in plain.identity()
        assert plain.fingerprint == older.fingerprint
        assert rich.identity()["scenes"] == "rich"
        assert rich.fingerprint != older.fingerprint


def test_what_is_insignificant_does_not_count() -> None:
    assert Leaf(label="a").fingerprint == Leaf(label="b").fingerprint
    assert "label" not in Leaf(label="a").identity()
    given = GivenData(place="/a", content="x", samples=None)
    assert given.fingerprint == GivenData(place="s3://b", content="x", samples=9).fingerprint
    assert given.fingerprint != GivenData(place="/a", content="y").fingerprint


def test_a_policy_is_what_the_spec_asks_for() -> None:
    asked = {"gpus": 0.5, "readers": 5, "checkpoint_minutes": 1, "training_workers": 3, "training_gpus": 2}
    assert Policy.of(spec(resources=asked).resources) == Policy(**asked)


@pytest.mark.parametrize(
    "changes",
    [
        {"resources": {"gpus": 1, "readers": 5, "checkpoint_minutes": 1, "training_workers": 2, "training_gpus": 1}},
        {"description": "another"},
        {"name": "another"},
        {"search__concurrency": 9},
        {"attacks": {"renamed": {"trigger": "badnets", "target": "red circle"}}, "search": {}},
    ],
)
def test_a_trial_is_the_same_under_other_names_and_machines(changes: dict[str, Any]) -> None:
    assert graph(**changes).path.fingerprint == graph().path.fingerprint


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"data__synthetic__samples": 401},
        {"data__synthetic__per_class": 3},
        {"data__on_error": "error"},
        {"model__architecture": "tbar-ViT-tiny"},
        {"model__training__epochs": 2},
        {"attacks__badnets__parameters": {"patch_size": 20}},
        {"attacks__badnets__target": "blue circle"},
        {"poison__rate": 0.06},
        {"poison": {"count": 20}},
        {"poison__pairs": 100},
        {"poison__captions": "evaluation"},
        {"poison__min_asr": 0.5},
        {"poison__training__batch_size": 64},
        {"forget__size": 21},
        {"forget__clean_fraction": 0.5},
        {"unlearning__parameters": {"steps": 3}},
        {"alpha": [0, 1]},
        {"evaluation__min_retention": 0.5},
        {"evaluation__validation_fraction": 0.4},
        {"evaluation__max_images": 10},
        {"resources__trial_cpus": 2},
        {"resources__training_cpus": 3},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_trial_is_another_if_its_meaning_is(changes: dict[str, Any]) -> None:
    assert graph(**changes).path.fingerprint != graph().path.fingerprint


def test_parameters_are_canonical_over_the_order_of_keys() -> None:
    one = Leaf(parameters={"a": 1, "b": {"x": 1, "y": [1, 2]}})
    same = Leaf(parameters={"b": {"y": [1, 2], "x": 1}, "a": 1})
    other = Leaf(parameters={"b": {"y": [2, 1], "x": 1}, "a": 1})
    assert one.fingerprint == same.fingerprint != other.fingerprint


def test_inputs_enter_by_their_fingerprints() -> None:
    left, right = Leaf(), Leaf(parameters={"a": 1})
    join = Join(left=left, right=right)
    assert join.identity()["left"] == left.fingerprint
    assert list(join.inputs()) == [left, right]
    assert join.fingerprint == Join(left=Leaf(label="other words"), right=right).fingerprint
    assert join.fingerprint != Join(left=right, right=left).fingerprint
    assert join.fingerprint != Join(left=left, right=left).fingerprint


def test_kind_and_version_count() -> None:
    class Twin(Leaf):
        kind: ClassVar[str] = "twin"

    class Newer(Leaf):
        version: ClassVar[int] = 2

    assert len({Leaf().fingerprint, Twin().fingerprint, Newer().fingerprint}) == 3


def test_stages_come_after_their_inputs_each_once() -> None:
    stages = stages_in_order([graph().path, graph(forget__size=7).path])
    names = [stage.fingerprint for stage in stages]
    assert len(names) == len(set(names))
    for place, stage in enumerate(stages):
        needed = [node.fingerprint for node in stage.inputs() if isinstance(node, Stage)]
        assert set(needed) <= set(names[:place])
    assert [stage.kind for stage in stages] == [
        "corpus", "clean-model", "evaluation-set", "scores", "infected-model", "scores", "gate", "vector", "path",
        "vector", "path",
    ]  # fmt: skip


def test_sources_are_not_computed() -> None:
    model = PretrainedModel(architecture="ViT-B-32", weights="openai", content="tag openai")
    backdoor = Backdoor(trigger="badnets", parameters={}, seed=0, target="x")
    scores = Evaluate(
        role="clean", model=model, evaluation=GivenData(place="/a", content="x"), backdoor=backdoor,
        templates="evaluation",
        validation_fraction=0.5, max_images=None, split_seed=0,
    )  # fmt: skip
    assert stages_in_order([scores]) == [scores]
    assert isinstance(model, Given)
    assert scores.identity()["model"] == model.fingerprint


def test_nodes_are_frozen_closed_and_survive_pickling() -> None:
    path = graph().path
    assert pickle.loads(pickle.dumps(path)).fingerprint == path.fingerprint
    assert pickle.loads(pickle.dumps(path)) == path
    with pytest.raises(ValidationError, match="frozen"):
        path.min_retention = 0.1
    with pytest.raises(ValidationError, match="Extra inputs"):
        SyntheticEvaluation(per_class=1, size=16, seed=0, more=1)  # type: ignore[call-arg]


def test_titles_and_work_are_known_before_running() -> None:
    stages = {stage.kind: stage for stage in stages_in_order([graph(unlearning__parameters={"steps": 3}).path])}
    assert stages["corpus"].title == "corpus of 400 scenes"
    assert stages["corpus"].work == 400
    assert stages["infected-model"].work == 400 * 5
    assert stages["vector"].work == 3 * 20
    assert "badnets, 20 images, 0% clean" in stages["path"].title


def test_a_stage_without_a_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="Leaf does not say how it runs"):
        Leaf().run(StageContext(Store(str(tmp_path)), tmp_path, print))


def test_a_node_under_many_others_is_visited_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A path down the graph for each pair of sides: 2 ** 30 of them here."""
    top: Stage = Leaf()
    chain = [top]
    for _ in range(30):
        top = Join(left=top, right=top)
        chain.append(top)
    asked: list[Node] = []
    inputs = Node.inputs

    def counted(node: Node) -> Iterator[Node]:
        asked.append(node)
        return inputs(node)

    monkeypatch.setattr(Node, "inputs", counted)
    assert stages_in_order([top, top]) == chain
    assert len(asked) == len(chain)
