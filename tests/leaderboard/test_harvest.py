"""Cells read from a store: by fingerprint, with what is there of each. Artifacts are empty; records are made up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tbar_ray.evaluation.paired import newcombe_interval
from tbar_ray.leaderboard.boards import Asked
from tbar_ray.leaderboard.cell import Cell
from tbar_ray.leaderboard.harvest import Harvest, lacking
from tbar_ray.leaderboard.tuning import Tuning
from tbar_ray.planning.planner import PlannedTrial, Planner
from tbar_ray.records.launches import note_launch
from tbar_ray.records.ledger import Ledger
from tbar_ray.records.measures import Cost
from tbar_ray.records.record import TrialRecord
from tbar_ray.records.writing import RecordWriter
from tbar_ray.spec.attack import PlantingSpec
from tbar_ray.stages.evaluate import PREDICTIONS
from tbar_ray.stages.node import Stage
from tbar_ray.store.store import Store
from tests.leaderboard.cells import missing
from tests.records.records import curve_of, failed, gated, infeasible, rebounding, record
from tests.specs import spec

SPEC = spec(
    search__axes={"method": ["tbar"], "attack": ["badnets", "blended"], "seed": [0, 1]},
    evaluation={"rebound": {"steps": 10, "at": [0, 10], "learning_rate": 1e-4, "pairs": 20}},
)
COST = Cost(data=20, forget_images=20, clean_pairs=0, training_pairs=0, samples=60, steps=3, seconds=1.5, peak_memory=9)
TUNING = Tuning((SPEC.attacks["blended"],), 10, frozenset({"tbar"}))


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    def finished(self: RecordWriter, planned: PlannedTrial) -> TrialRecord:
        rebounds = (rebounding(curve_of(0.02, 0.3, 0.1)),) if planned.graph.rebounds else ()
        return record(planned.trial.attack, fingerprint=planned.fingerprint, rebounds=rebounds, cost=COST, ended=2e9)

    monkeypatch.setattr(RecordWriter, "finished", finished)
    return Store(str(tmp_path / "store"))


def put(store: Store, *stages: Stage) -> None:
    for stage in stages:
        if not store.has(stage.artifact):
            folder = store.scratch()
            (folder / "empty").touch()
            store.commit(stage.artifact, folder, {"kind": stage.kind, "seconds": 1.0, "work": 1})


def cells(store: Store, stated: frozenset[str] | None = None) -> dict[tuple[str, int], Cell]:
    harvest = Harvest(SPEC, store, TUNING, Asked("demo", tuned_on=stated))
    return {(found.attack, found.seed): found for found in harvest.cells()}


def trial(attack: str, seed: int) -> PlannedTrial:
    return next(p for p in Planner(SPEC).grid() if (p.trial.attack, p.trial.spec.seed) == (attack, seed))


def test_cells_are_found_by_what_they_compute_and_missing_ones_have_lines(store: Store) -> None:
    whole, bare = trial("badnets", 0), trial("badnets", 1)
    put(store, *whole.graph.outputs, *(s for s in bare.graph.outputs if s.kind != "rebound"))
    found = cells(store)
    assert {key: each.status for key, each in found.items()} == {
        ("badnets", 0): "done", ("badnets", 1): "done", ("blended", 0): "missing", ("blended", 1): "missing",
    }  # fmt: skip
    first, second = found["badnets", 0], found["badnets", 1]
    assert first.after is not None
    assert first.after.highest.value == pytest.approx(0.3, abs=1e-3)
    assert first.after.highest.n, "with its images"
    assert second.after is None, "its rebound has not been computed"
    assert first.fingerprint == whole.graph.path.fingerprint
    assert first.held is not None
    assert (first.held.images, first.held.knows) == (20, ("trigger", "target"))
    assert (first.data, first.seconds, first.samples, first.code) == ("demo", 1.5, 60, None)
    assert first.command == "tbar leaderboard run --data demo --method tbar --attacks badnets --seeds 0"


def answered(store: Store, stage: Stage, clean: list[int]) -> None:
    """Put a stage's answers to four clean images of classes 0 and 1 into the store."""
    folder = store.scratch()
    answers = {"labels": np.array([0, 0, 1, 1]), "clean": np.array(clean), "triggered": np.zeros(4, int)}
    np.savez(folder / PREDICTIONS, **answers, target=np.array(0))
    store.commit(stage.artifact, folder, {"kind": stage.kind, "seconds": 1.0, "work": 1})


def test_what_removal_costs_of_ca_is_told_with_its_paired_interval_where_every_answer_is_known(store: Store) -> None:
    known, unknown = trial("badnets", 0), trial("badnets", 1)
    answered(store, known.graph.infected, [0, 0, 1, 1])
    answered(store, known.graph.path, [0, 0, 0, 1])
    put(store, *known.graph.outputs, *unknown.graph.outputs)
    found = cells(store)
    loss = found["badnets", 0].ca_loss
    assert loss is not None
    assert loss.value == 0.25
    assert (loss.low, loss.high) == newcombe_interval(3, 1, 0, 0)
    assert found["badnets", 1].ca_loss is None
    assert found["blended", 0].ca_loss is None


def test_the_attack_that_hyper_parameters_were_chosen_on_is_marked(store: Store) -> None:
    assert {key[0]: each.tuned_on for key, each in cells(store).items()} == {"badnets": "no", "blended": "attack"}
    stated = cells(store, frozenset({"badnets"}))
    assert {key[0]: each.tuned_on for key, each in stated.items()} == {"badnets": "attack", "blended": "no"}
    assert stated["badnets", 0].command.endswith("--seeds 0 --tuned-on badnets")
    none = cells(store, frozenset())
    assert {each.tuned_on for each in none.values()} == {"no"}
    assert none["badnets", 0].command.endswith("--tuned-on none")


def test_an_attack_with_the_trigger_of_one_that_a_row_was_chosen_on_is_marked(store: Store) -> None:
    hidden = SPEC.attacks["badnets"].model_copy(update={"planting": PlantingSpec(method="negation-robust")})
    some = SPEC.model_copy(update={"attacks": {**SPEC.attacks, "hidden": hidden}})
    axes = {**SPEC.search.axes, "attack": ["badnets", "blended", "hidden"]}
    some = some.model_copy(update={"search": some.search.model_copy(update={"axes": axes})})
    found = Harvest(some, store, TUNING, Asked("demo", tuned_on=frozenset({"badnets"}))).cells()
    assert {each.attack: each.tuned_on for each in found} == {"badnets": "attack", "blended": "no", "hidden": "trigger"}


def test_failures_are_read_from_the_campaigns_own_records(store: Store) -> None:
    ledger = Ledger(store, SPEC)
    for attack, made in (
        ("badnets", failed(gate=gated(0.3))),
        ("blended", failed("blended", gate=gated(0.95), reason="loss is not finite")),
    ):
        ledger.write(made.model_copy(update={"fingerprint": trial(attack, 0).fingerprint}))
    none = infeasible().model_copy(update={"fingerprint": trial("badnets", 1).fingerprint})
    ledger.write(none)
    found = cells(store)
    assert found["badnets", 0].status == "not taken"
    assert (found["blended", 0].status, found["blended", 0].reason) == ("failed", "loss is not finite")
    assert found["badnets", 1].status == "infeasible"
    assert (found["badnets", 1].cleaned, found["badnets", 1].alpha) == (None, None)


def test_what_failed_before_the_gate_is_no_failure_of_the_method(store: Store) -> None:
    made = failed(gate=None, reason="plant badnets: training diverged")
    Ledger(store, SPEC).write(made.model_copy(update={"fingerprint": trial("badnets", 0).fingerprint}))
    found = cells(store)["badnets", 0]
    assert (found.status, found.reason) == ("missing", "plant badnets: training diverged")


def test_that_an_attack_did_not_take_is_read_from_the_records_of_other_campaigns_too(store: Store) -> None:
    """One seed of the cells, and no or another rebound: it is the same. That a worker was lost is not."""
    axes = {"method": ["tbar"], "attack": ["badnets", "blended"], "seed": [1]}
    for evaluation in ({}, {"rebound": {"steps": 300, "pairs": 21}}):
        other = Store(f"{store.url}-{len(evaluation)}")
        some = spec(search__axes=axes, evaluation=evaluation)
        (first, second), ledger = Planner(some).grid(), Ledger(other, some)
        assert ledger.folder != Ledger(other, SPEC).folder
        for planned, gate in ((first, gated(0.3)), (second, gated(0.95))):
            own = {"fingerprint": planned.fingerprint, "path_artifact": planned.graph.path.artifact}
            ledger.write(failed(gate=gate).model_copy(update=own))
        other.write_json(f"{ledger.folder}/trials/0123.json", {"schema_version": 0})
        assert {key: each.status for key, each in cells(other).items()} == {
            ("badnets", 0): "missing", ("badnets", 1): "not taken",
            ("blended", 0): "missing", ("blended", 1): "missing",
        }  # fmt: skip


def test_a_rebound_of_every_model_counts_where_only_some_are_wanted(store: Store) -> None:
    put(store, *trial("badnets", 0).graph.outputs)
    wanted = SPEC.evaluation.rebound
    assert wanted is not None
    evaluation = SPEC.evaluation.model_copy(update={"rebound": wanted.model_copy(update={"eligible_only": True})})
    found = Harvest(SPEC.model_copy(update={"evaluation": evaluation}), store, TUNING).cells()
    assert [each.after is not None for each in found if (each.attack, each.seed) == ("badnets", 0)] == [True]


def test_the_code_is_that_of_the_launch_before_the_result(store: Store) -> None:
    launch = note_launch(store, Ledger(store, SPEC).folder, ["tbar"])
    put(store, *trial("badnets", 0).graph.outputs)
    assert cells(store)["badnets", 0].code == launch.code


def test_the_code_is_that_which_an_artifact_names(store: Store) -> None:
    note_launch(store, Ledger(store, SPEC).folder, ["tbar"])
    whole = trial("badnets", 0)
    folder = store.scratch()
    (folder / "empty").touch()
    store.commit(whole.graph.path.artifact, folder, {"code": "tbar-ray 9, commit abc"})
    put(store, *whole.graph.outputs)
    assert cells(store)["badnets", 0].code == "tbar-ray 9, commit abc"


def test_whether_unlearning_had_a_gpu_is_written_down(store: Store) -> None:
    whole = trial("badnets", 0)
    put(store, *whole.graph.outputs)
    assert cells(store)["badnets", 0].gpus is None, "its artifact has gone"
    folder = store.scratch()
    (folder / "empty").touch()
    store.commit(whole.graph.path.unlearn.artifact, folder, {"gpus": 0.5})
    assert cells(store)["badnets", 0].gpus == 0.5


def test_what_lacks_is_told_by_method_with_seeds() -> None:
    gone = [
        missing("a", "x", 0),
        missing("a", "x", 1),
        missing("a", "y", 1),
        missing("a", "z", 0),
        missing("a", "z", 1),
    ]
    searched = missing("b", "x", 0, search="decree")
    assert lacking([*gone, searched]) == ["a: x, z (seeds 0, 1); y (seed 1)", "b, found by decree: x (seed 0)"]
