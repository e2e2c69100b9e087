from __future__ import annotations

from pathlib import Path

from tbar_ray.report.parameters import effective_parameters, filled, told
from tbar_ray.store.store import Store
from tests.records.records import record


def test_parameters_are_those_that_identify_the_edit(tmp_path: Path) -> None:
    store, made, gone = Store(str(tmp_path)), record(), record(seed=1)
    store.commit(made.path_artifact, store.scratch(), {"identity": {"unlearn": "abc"}})
    assert effective_parameters([made, gone], store) == {}
    store.commit("vector-abc", store.scratch(), {"identity": {"parameters": {"steps": 7}}})
    assert effective_parameters([made, gone], store) == {made.fingerprint: {"steps": 7}}


def test_only_axes_that_a_trial_did_not_set_are_filled() -> None:
    made = record(axes={"learning_rate": 0.5})
    own = {"learning_rate": 0.1, "steps": 7}
    names = ["learning_rate", "tbar.steps", "finetune.steps", "seed"]
    assert filled(made, own, names) == {"tbar.steps": 7}
    assert filled(made, None, names) == {}


def test_words_name_trial_and_parameters() -> None:
    assert told(record(), {"batch_size": 7}).endswith("seed 0: batch size 7")
    assert told(record(), None).endswith("seed 0")
