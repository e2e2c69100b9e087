"""From artifacts to a record: what is read where. The artifacts are written by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tbar_ray.errors import StoreError
from tbar_ray.planning.planner import PlannedTrial, Planner
from tbar_ray.records import writing
from tbar_ray.records.measures import GateRecord, StageUse
from tbar_ray.records.record import TrialRecord
from tbar_ray.records.writing import RecordWriter
from tbar_ray.stages.alpha_path import PATH
from tbar_ray.stages.evaluate import SCORES, Evaluate
from tbar_ray.stages.measure_disentanglement import MAP
from tbar_ray.stages.node import Stage, stages_in_order
from tbar_ray.stages.visibility import VISIBILITY
from tbar_ray.store.store import Store
from tests.records.records import error_map, retrieved, scores, seen
from tests.specs import spec

CHANGE = {"relative_l2": 0.1, "relative_linf": 0.2, "participation": 0.3}
UNLEARNED = {
    "data": {"forget": 20, "clean": 5},
    "training": {"samples": 60, "steps": 3, "seconds": 1.5},
    "peak_memory": 1000,
    "method": {"layers": 2},
    "norm": 0.3,
}
GEOMETRY = {
    "cosine_towards_target": 0.5, "relative_length": 0.02, "gradient_overlap": -0.1,
    "gradient_overlap_by_depth": [0.1, None, -0.2, -0.3], "images": 40,
}  # fmt: skip
FACTS: dict[str, dict[str, Any]] = {"vector": UNLEARNED, "clean-model": {"training": {"samples": 800}}}
Content = dict[str, Any]


def told(ca: float, asr: float, pa: float) -> Content:
    return scores(ca, asr, pa).model_dump()


INFECTED = {"validation": told(0.8, 0.99, 0.01), "test": told(0.79, 0.98, 0.02)}
CLEAN = {"validation": told(0.9, 0.01, 0.9), "test": told(0.89, 0.02, 0.8)}


VISIBLE = seen(25.5)
COMPARED = GateRecord(asr=INFECTED["validation"]["asr"]["value"], ca=0.8, clean_ca=0.9, min_asr=0.8, max_ca_drop=0.05)


def path_content(**changes: Any) -> Content:
    points = [
        {"alpha": a, **told(ca, asr, 0.5)} for a, ca, asr in ((0.0, 0.8, 0.99), (0.5, 0.79, 0.2), (1.0, 0.4, 0.0))
    ]
    return {
        "path": points, "sequential_tests": {}, "selected": 0.5, "feasible": True, "reference_ca": 0.8,
        "monotone": None, "statistics": None, "dominated": False,
        "test": told(0.78, 0.21, 0.6), "others": {}, **changes,
    }  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path))


def files_of(stage: Stage, path: Content, retrieval: Content) -> dict[str, Content]:
    if isinstance(stage, Evaluate):
        return {SCORES: {**(CLEAN if stage.role == "clean" else INFECTED), **retrieval}}
    if stage.kind == "path":
        return {PATH: path}
    if stage.kind == "visibility":
        return {VISIBILITY: VISIBLE.model_dump()}
    if stage.kind == "disentanglement":
        derived = {"at_planted", "at_negated", "alpha", "at_equal_length", "alpha_equal_length", "geometry"}
        return {MAP: {**error_map().model_dump(mode="json", exclude=derived), "vectors": {"trigger": {"norm": 0.6}}}}
    if stage.kind == "geometry":
        return {"geometry.json": GEOMETRY}
    return {}


def commit(stage: Stage, store: Store, files: dict[str, Content], skipped: int) -> None:
    folder = store.scratch()
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    facts: Content = {"infected-model": {"weight_change": CHANGE, "skipped": skipped}, **FACTS}.get(stage.kind, {})
    record = {"kind": stage.kind, "fingerprint": stage.fingerprint, "seconds": 2.0, "work": 0, "facts": facts}
    store.commit(stage.artifact, folder, record)


def compute(
    planned: PlannedTrial, store: Store, path: Content | None = None, retrieval: Content | None = None, skipped: int = 0
) -> None:
    for stage in stages_in_order(planned.graph.outputs):
        if not store.has(stage.artifact):
            commit(stage, store, files_of(stage, path or path_content(), retrieval or {}), skipped)


def plan(values: Content | None = None, to_beat: float | None = None, **changes: Any) -> PlannedTrial:
    return Planner(spec(**{"alpha": [0, 0.5, 1], **changes})).plan(values or {}, to_beat)


def finished(store: Store, planned: PlannedTrial, **given: Any) -> TrialRecord:
    compute(planned, store, **given)
    return RecordWriter(store).finished(planned)


def test_a_finished_trial_has_scores_path_and_cost(store: Store) -> None:
    planned = plan({"attack": "blended", "model.training.epochs": 2})
    made = finished(store, planned, skipped=3)
    assert (made.status, made.reason, made.alpha, made.reference_ca, made.path_falls) == ("done", None, 0.5, 0.8, None)
    assert made.fingerprint == planned.fingerprint
    assert made.path_artifact == planned.graph.path.artifact
    assert made.settings == planned.trial.settings
    assert made.settings["model.training.epochs"] == 2
    assert (made.trigger, made.target, made.planting, made.merge, made.alphas) == (
        "blended", "red circle", "standard", None, (0.0, 0.5, 1.0),
    )  # fmt: skip
    assert (made.removed, made.infected, made.clean) == (
        scores(0.78, 0.21, 0.6), scores(0.79, 0.98, 0.02), scores(0.89, 0.02, 0.8),
    ), "test scores, not those that α was chosen on"  # fmt: skip
    assert [(p.alpha, p.scores) for p in made.path] == [
        (0.0, scores(0.8, 0.99, 0.5)), (0.5, scores(0.79, 0.2, 0.5)), (1.0, scores(0.4, 0.0, 0.5)),
    ]  # fmt: skip
    assert made.path[2].ca_retention == pytest.approx(0.5)
    assert made.before_merge is None
    assert made.visibility == VISIBLE
    assert made.gate == COMPARED, "validation scores"
    assert not made.took, "10 points of CA are lost"
    assert made.cost is not None
    assert made.cost.model_dump() == {
        "data": 25, "forget_images": 20, "clean_pairs": 5, "training_pairs": 0, "samples": 60, "steps": 3,
        "seconds": 1.5, "peak_memory": 1000,
    }  # fmt: skip
    assert made.found == {"layers": 2}
    assert made.weight_change is not None
    assert made.weight_change.model_dump() == CHANGE
    assert (made.seconds, made.skipped_samples) == (4.0, 3), "of the path and the vector, and of the poisoned training"
    assert set(made.trainings.values()) == {
        planned.graph.model.artifact,
        *(stage.artifact for stage in stages_in_order(planned.graph.outputs) if stage.kind == "clean-model"),
    }
    assert made.infected_artifact == planned.graph.model.artifact
    assert made.pretraining_samples == 800
    assert made.plant_fingerprint == planned.graph.model.plants[0].fingerprint


def test_a_record_tells_what_the_stages_under_its_trial_cost(store: Store) -> None:
    planned = plan({"attack": "blended"}, resources={"training_cpus": 3})
    (corpus, *_), told = stages_in_order(planned.graph.outputs), {"cpus": 8, "gpus": 0.5}
    store.commit(
        corpus.artifact, store.scratch(), {"fingerprint": corpus.fingerprint, "seconds": 5.0, "facts": {}, **told}
    )
    known = RecordWriter(store).failed(planned, "lost").stages
    assert known == (StageUse(artifact=corpus.artifact, seconds=5, cpus=8, gpus=0.5),), "the others have not run"
    made = finished(store, planned)
    assert made.stages[0] == known[0]
    stages = stages_in_order(planned.graph.outputs)
    assert [use.artifact for use in made.stages] == [stage.artifact for stage in stages]
    assert [(use.cpus, use.gpus) for use in made.stages[1:]] == [(stage.threads, None) for stage in stages[1:]]
    assert {stage.threads for stage in stages} == {1, 3}


def test_what_data_lost_is_named_once(store: Store) -> None:
    planned = plan({"attack": "blended"})
    for stage in stages_in_order(planned.graph.outputs):
        trained = {**FACTS["clean-model"], "problems": ["train/0.tar: a: no image"]}
        facts = {"clean-model": trained, "scores": {"lost": ["test/0.tar: b: cut"]}}
        if (lost := facts.get(stage.kind)) is not None:
            folder = store.scratch()
            for name, content in files_of(stage, {}, {}).items():
                (folder / name).write_text(json.dumps(content))
            record = {"kind": stage.kind, "fingerprint": stage.fingerprint, "seconds": 2.0, "work": 0, "facts": lost}
            store.commit(stage.artifact, folder, record)
    assert finished(store, planned).lost == ("train/0.tar: a: no image", "test/0.tar: b: cut")
    assert finished(store, plan({"attack": "badnets"})).lost != ()  # the clean model is the same
    assert json.loads(finished(store, planned).model_dump_json())["lost"][0] == "train/0.tar: a: no image"


def test_scores_with_the_other_statistics_stand_beside_those_that_count(store: Store) -> None:
    path = path_content(statistics="reestimated", statistics_images=300)
    path["path"][1]["as_applied"] = told(0.7, 0.01, 0.4)
    path["test"]["as_applied"] = told(0.6, 0.02, 0.3)
    made = finished(store, plan(), path=path)
    assert (made.statistics, made.statistics_images) == ("reestimated", 300)
    assert (made.removed, made.as_applied) == (scores(0.78, 0.21, 0.6), scores(0.6, 0.02, 0.3))
    assert [point.as_applied for point in made.path] == [None, scores(0.7, 0.01, 0.4), None]
    assert made.asr_masked == pytest.approx(0.19, abs=2e-3)
    assert made.value("asr_masked") == made.asr_masked


def test_a_model_without_running_statistics_has_one_score(store: Store) -> None:
    made = finished(store, plan())
    assert (made.statistics, made.as_applied, made.reestimated, made.beside, made.asr_masked) == (None,) * 5


def test_where_alpha_is_selected_as_applied_what_is_masked_has_the_same_sign(store: Store) -> None:
    path = path_content(statistics="as_applied")
    path["test"]["reestimated"] = told(0.6, 0.9, 0.3)
    made = finished(store, plan(), path=path)
    assert made.asr_masked == pytest.approx(0.9 - 0.21, abs=2e-3)


def test_the_range_of_alpha_is_measured_on_whole_paths_alone(store: Store) -> None:
    assert finished(store, plan()).alpha_sensitivity is not None
    bisected = finished(store, plan({"seed": 1}), path=path_content(monotone=True))
    assert (bisected.alpha_sensitivity, bisected.path_falls) == (None, True)
    single = path_content(path=path_content()["path"][1:2])
    assert finished(store, plan({"alpha": 0.5}), path=single).alpha_sensitivity is None


def test_no_feasible_alpha_is_infeasible_with_its_reason(store: Store) -> None:
    made = finished(
        store, plan(), path=path_content(selected=None, feasible=False, test=None, path=path_content()["path"][2:])
    )
    assert (made.status, made.alpha, made.removed) == ("infeasible", None, None)
    assert made.reason == "no α retains 95% of the infected model's validation CA 80.0%; the best has 40.0%"


def test_a_trial_that_was_given_up_is_dominated(store: Store) -> None:
    made = finished(
        store, plan(to_beat=0.125), path=path_content(selected=None, feasible=False, dominated=True, test=None)
    )
    assert made.status == "dominated"
    assert made.reason is not None
    assert made.reason.endswith("comes below the validation ASR of an earlier trial, 12.5%")


def test_retrieval_is_kept_by_model(store: Store) -> None:
    planned = plan(data__synthetic={"samples": 400, "size": 16, "per_class": 2, "retrieval": 5})
    told = {name: rate.model_dump() for name, rate in retrieved(0.5).items()}
    made = finished(store, planned, path=path_content(retrieval=told), retrieval={"retrieval": told})
    assert made.retrieval == dict.fromkeys(("removed", "infected", "clean"), retrieved(0.5))
    assert finished(store, plan({"seed": 1})).retrieval == {}


def test_other_backdoors_of_the_same_model_are_named(store: Store) -> None:
    planned = plan({"attack": "badnets"}, poison={"rate": 0.05, "plant": "together"})
    (other,) = planned.graph.path.others
    after = path_content(others={other.backdoor.fingerprint: told(0.7, 0.5, 0.3)})
    made = finished(store, planned, path=after)
    assert list(made.others) == ["blended"]
    assert made.others["blended"].asr_infected == scores(0.79, 0.98, 0.02).asr.value
    assert made.others["blended"].asr == scores(0.7, 0.5, 0.3).asr.value


def test_a_merge_has_scores_before_it(store: Store) -> None:
    attack = {"trigger": "badnets", "target": "red circle", "task": "night", "merge": {"tasks": ["shapes"]}}
    tasks = {name: {"synthetic": name} for name in ("night", "shapes")}
    planned = plan(attacks={"a": attack}, tasks=tasks, search={})
    made = finished(store, planned)
    assert (made.merge, made.task) == ("task-arithmetic", "night")
    assert made.before_merge == scores(0.79, 0.98, 0.02)


def test_the_map_is_read_at_the_planted_and_the_negated_vector(store: Store) -> None:
    made = finished(store, plan(disentanglement={"points": 3, "low": -1, "high": 1})).disentanglement
    assert made is not None
    assert made.alpha == 0.5
    assert made.at_planted == pytest.approx(0.5), "both terms are 0.25 there"
    assert made.at_negated == pytest.approx(0.375), "halfway from 0.5 to 0.25, that of α_t = 0"
    beyond = path_content(selected=7.0)
    out = finished(store, plan({"seed": 1}, disentanglement={"points": 3}), path=beyond).disentanglement
    assert out is not None
    assert out.at_planted == pytest.approx(0.5)
    assert out.at_negated is None, "the grid ends at 1"


def test_the_map_is_read_where_as_long_a_step_is_taken_as_the_trials(store: Store) -> None:
    xi = {"points": 3, "low": -1, "high": 1}
    made = finished(store, plan(disentanglement=xi)).disentanglement
    assert made is not None
    # the trial's vector has length 0.3, the map's 0.6
    assert made.alpha_equal_length == pytest.approx(-0.25)
    assert made.at_equal_length == pytest.approx(0.25 + 0.25 / 4), "a quarter of the way from ξ(1, 0) to ξ(1, -1)"
    other = finished(store, plan({"method": "cleanclip"}, disentanglement=xi)).disentanglement
    assert other is not None
    assert (other.alpha_equal_length, other.at_equal_length) == (None, None), "nothing is negated"


def test_the_geometry_of_the_trigger_stands_beside_the_map(store: Store) -> None:
    made = finished(store, plan(disentanglement={"points": 3})).disentanglement
    assert made is not None
    assert made.geometry is not None
    assert made.geometry.model_dump(mode="json") == GEOMETRY
    assert finished(store, plan({"seed": 1})).disentanglement is None


@pytest.mark.parametrize(
    ("architecture", "tag", "samples"),
    [("tbar-GN-pico", "scenes", None), ("ViT-B-32", "datacomp_s_s13m_b4k", 12_800_000)],
)
def test_given_weights_have_seen_what_is_known_of_their_tag(
    store: Store, architecture: str, tag: str, samples: int | None
) -> None:
    made = finished(store, plan(model={"architecture": architecture, "pretrained": tag}))
    assert made.pretraining_samples == samples


def test_a_failed_trial_says_how_much_its_model_had_seen_if_that_training_has_ended(store: Store) -> None:
    planned = plan()
    assert RecordWriter(store).failed(planned, "out of memory").pretraining_samples is None
    compute(planned, store)
    assert RecordWriter(store).failed(planned, "out of memory").pretraining_samples == 800


def test_a_failed_trial_keeps_the_scores_that_were_known(store: Store) -> None:
    planned = plan()
    nothing = RecordWriter(store).failed(planned, "out of memory")
    assert (nothing.status, nothing.reason, nothing.infected, nothing.clean) == ("failed", "out of memory", None, None)
    assert nothing.settings == planned.trial.settings
    commit(planned.graph.infected, store, {SCORES: INFECTED}, 0)
    known = RecordWriter(store).failed(planned, "attack did not take")
    assert (known.infected, known.clean, known.removed) == (scores(0.79, 0.98, 0.02), None, None)


def test_a_trial_whose_last_stages_failed_keeps_what_its_removal_left(store: Store) -> None:
    planned = plan()
    compute(planned, store)
    whole, failed = RecordWriter(store).finished(planned), RecordWriter(store).failed(planned, "rebound: diverged")
    assert (failed.status, failed.reason) == ("failed", "rebound: diverged")
    assert failed.removed is not None
    for name in ("removed", "alpha", "path", "reference_ca", "statistics", "infected"):
        assert getattr(failed, name) == getattr(whole, name), name


def test_a_trial_that_is_not_computed_has_no_record(store: Store) -> None:
    with pytest.raises(StoreError, match="has no artifact path-"):
        RecordWriter(store).finished(plan())


def test_a_writer_reads_what_trials_share_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    trials = [plan({"forget_size": size}) for size in (5, 6, 7)]
    for planned in trials:
        compute(planned, store)
    read: list[str] = []
    fetch = store.fetch
    monkeypatch.setattr(store, "fetch", lambda name, *files: read.append(name) or fetch(name, *files))  # type: ignore[func-returns-value]
    writer = RecordWriter(store)
    for planned in trials:
        writer.finished(planned)
    assert len(read) == len(set(read)) == 3 + 2 + 1, "three paths; the scores of two models; the trigger's visibility"
    monkeypatch.setattr(writing, "MOST_KEPT", 1)
    again = [writer.finished(planned) for planned in trials]
    assert len(read) > 6
    assert [made.settings["forget_size"] for made in again] == [5, 6, 7]


def test_of_a_trial_that_failed_at_the_gate_scores_visibility_and_what_the_gate_compared_are_kept(store: Store) -> None:
    planned = plan()
    for stage in stages_in_order([planned.graph.path.gate, planned.graph.visibility]):
        commit(stage, store, files_of(stage, {}, {}), 0)
    made = RecordWriter(store).failed(planned, "attack broke the model")
    assert (made.status, made.infected, made.visibility) == ("failed", scores(0.79, 0.98, 0.02), VISIBLE)
    assert made.gate == COMPARED
    nothing = RecordWriter(store).failed(plan({"seed": 1}), "lost")
    assert (nothing.gate, nothing.visibility) == (None, None)
