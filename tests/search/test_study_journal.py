from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from tbar_ray.planning.planner import Planner
from tbar_ray.search.samplers import build_proposals
from tbar_ray.search.study_journal import FILE, StudyJournal
from tbar_ray.store.store import Store
from tests.search.proposing import ATTACKS, AXES, constrained, drive, scored, settings_of
from tests.specs import spec

FOLDER = "campaigns/demo/1234"


def searched(tmp_path: Path, **search: Any) -> tuple[list[Mapping[str, Any]], list[optuna.Study]]:
    """Run a search into a journal; return what was proposed, and the studies as others load them."""
    made = spec(search={"sampler": "tpe", "trials": 9, "concurrency": 3, "axes": {**AXES, "attack": ATTACKS}, **search})
    store, scratch = Store(str(tmp_path / "store")), tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    with_journal = build_proposals(Planner(made), StudyJournal(store, FOLDER, scratch))
    planned = drive(with_journal, fail=(4,), result=constrained)
    storage = JournalStorage(JournalFileBackend(f"{store.url}/{FOLDER}/{FILE}"))
    names = sorted(optuna.get_all_study_names(storage))
    plain = settings_of(drive(build_proposals(Planner(made)), fail=(4,), result=constrained))
    assert settings_of(planned) == plain, "the journal changes no proposal"
    return settings_of(planned), [optuna.load_study(study_name=name, storage=storage) for name in names]


def test_the_study_is_in_the_store_with_its_trials_values_and_constraints(tmp_path: Path) -> None:
    proposed, (study,) = searched(tmp_path)
    assert study.study_name == "demo"
    assert study.metric_names == ["penalised_asr"]
    assert [trial.number for trial in study.trials] == list(range(9))
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 4 + ["FAIL"] + ["COMPLETE"] * 4
    for trial, settings in zip(study.trials, proposed, strict=True):
        assert trial.params["forget_size"] == settings["forget_size"]
        if trial.number != 4:
            assert trial.values == [scored(settings)["penalised_asr"]]
            missing = pytest.approx(settings["forget_size"] / 60 - 0.5)
            assert trial.constraints == {"ca_missing": missing, "0": missing}
            assert trial.system_attrs["constraints"] == [missing], "where optuna-dashboard looks"
    feasible = [trial for trial in study.trials if trial.constraints.get("ca_missing", 1) <= 0]
    assert len(feasible) not in (0, 8), "else the next line says nothing"
    assert study.best_trial.number == min(feasible, key=lambda trial: trial.value or 0).number


def test_each_method_has_a_study_of_its_own(tmp_path: Path) -> None:
    axes = {"attack": ["badnets"], "method": ["tbar", "gradient-ascent"], "learning_rate": AXES["learning_rate"]}
    _, studies = searched(tmp_path, trials=3, study="per method", axes=axes)
    assert [study.study_name for study in studies] == ["demo gradient-ascent", "demo tbar"]
    assert [len(study.trials) for study in studies] == [3, 3]


def test_a_launch_writes_the_journal_anew(tmp_path: Path) -> None:
    searched(tmp_path)
    (tmp_path / "scratch").rename(tmp_path / "earlier")
    _, (study,) = searched(tmp_path)
    assert len(study.trials) == 9
