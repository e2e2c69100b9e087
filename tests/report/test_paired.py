from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tbar_ray.records.record import TrialRecord
from tbar_ray.report.paired import paired_tests
from tbar_ray.store.store import Store
from tests.records.records import moved, record
from tests.report.reading import rows_of

LABELS = [0] * 4 + [1] * 16
TARGET = 0


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path))


def keep(
    store: Store, made: TrialRecord, right: int, hits: int, facts: dict[str, object] | None = None, **changes: object
) -> TrialRecord:
    """Keep predictions: the first `right` clean images answered rightly, and `hits` triggered ones with the target."""
    labels = np.array(LABELS)
    clean = np.where(np.arange(20) < right, labels, 1 - labels)
    triggered = np.where(np.arange(20) < 4 + hits, TARGET, labels)  # the first four are of the target's class
    arrays = {"labels": labels, "clean": clean, "triggered": triggered, "target": np.array(TARGET), **changes}
    folder = store.scratch()
    np.savez_compressed(folder / "predictions.npz", **{k: v for k, v in arrays.items() if v is not None})  # type: ignore[arg-type]
    store.commit(made.path_artifact, folder, facts or {})
    return made


def test_ca_and_asr_are_compared_image_by_image(store: Store) -> None:
    first, second = keep(store, record(), 20, 1), keep(store, record(method="finetune"), 12, 9)
    ca, asr = rows_of(paired_tests([first, second], store))
    assert (ca["score"], ca["first"], ca["second"]) == ("CA", "tbar", "finetune")
    assert (ca["of first"], ca["of second"], ca["of the clean model"]) == ("100.0%", "60.0%", "86.8%")
    assert ca["difference"].startswith("+40.0 [+")
    assert ca["discordant"] == "8 / 0 of 20"
    assert float(ca["p"]) == pytest.approx(2 * 0.5**8, rel=0.05)
    # of the sixteen images of other classes
    assert (asr["score"], asr["of first"], asr["of second"]) == ("ASR", "6.2%", "56.2%")
    assert asr["of the clean model"] == "1.2%"
    assert asr["difference"].startswith("-50.0 [-")
    assert asr["discordant"] == "0 / 8 of 16"
    assert float(asr["p (Holm)"]) == pytest.approx(2 * 2 * 0.5**8, rel=0.05)


def test_holm_counts_all_tests_of_the_table(store: Store) -> None:
    pairs = [keep(store, record(seed=seed, method=m), n, 0) for seed in (0, 1, 2) for m, n in (("a", 20), ("b", 12))]
    rows = rows_of(paired_tests(pairs, store))
    assert len(rows) == 6
    ca = [row for row in rows if row["score"] == "CA"]
    assert [row["seed"] for row in ca] == ["0", "1", "2"]
    # three equal p of 1/128 and three of 1: all three are multiplied by six, and none by less than the one before
    assert [float(row["p (Holm)"]) for row in ca] == [pytest.approx(6 / 128, rel=0.05)] * 3
    assert {row["p (Holm)"] for row in rows if row["score"] == "ASR"} == {"1"}


def test_vectors_of_other_models_are_compared_with_the_models_own(store: Store) -> None:
    records = [keep(store, moved("a", source, 0.1), n, n) for source, n in (("b", 3), ("a", 9), ("c", 5))]
    rows = [row for row in rows_of(paired_tests(records, store)) if row["score"] == "CA"]
    assert [(row["first"], row["second"]) for row in rows] == [("a (own)", "b"), ("a (own)", "c")]
    assert [row["of first"] for row in rows] == ["45.0%", "45.0%"]


def test_of_many_learning_rates_the_best_is_compared_with_each_of_the_others(store: Store) -> None:
    made = [record(axes={"learning_rate": rate}) for rate in (1e-6, 2e-6, 3e-6, 4e-6, 5e-6, 6e-6)]
    rows = rows_of(paired_tests([keep(store, one, 9, 0) for one in made], store))
    assert len(rows) == 2 * 5  # of fifteen pairs
    assert len({row["first"] for row in rows}) == 1
    assert {row["first"] for row in rows} | {row["second"] for row in rows} == {f"{n}e-06" for n in range(1, 7)}


def test_parameters_of_a_method_are_one_respect_and_named(store: Store) -> None:
    first = record(axes={"tbar.steps": 5, "tbar.learning_rate": 1e-5})
    second = record(axes={"tbar.steps": 9, "tbar.learning_rate": 2e-5})
    rows = rows_of(paired_tests([keep(store, first, 9, 0), keep(store, second, 12, 0)], store))
    assert (rows[0]["first"], rows[0]["second"]) == ("steps 5, lr 1e-05", "steps 9, lr 2e-05")


def test_infected_models_that_differ_are_not_compared(store: Store) -> None:
    made = [record(axes={"model.training.epochs": e}, method=m) for e in (1, 3) for m in ("a", "b")]
    rows = rows_of(paired_tests([keep(store, one, 9, 0) for one in made], store))
    assert [(row["epochs"], row["first"], row["second"]) for row in rows if row["score"] == "CA"] == [
        ("1", "a", "b"), ("3", "a", "b"),
    ]  # fmt: skip


def test_trials_that_differ_in_more_than_one_respect_are_not_compared(store: Store) -> None:
    records = [
        record(),
        record(method="finetune", axes={"learning_rate": 1e-4}),
        record(size=300, method="x"),
        record("sig"),
    ]
    assert paired_tests([keep(store, made, 9, 0) for made in records], store) == ""


def test_what_cannot_be_tested_is_counted(store: Store) -> None:
    a = keep(store, record(method="a"), 9, 0)
    gone = record(method="gone")
    old = keep(store, record(method="old"), 9, 0, target=None)
    other = keep(store, record(method="other"), 9, 0, labels=np.array(LABELS[::-1]))
    text = paired_tests([a, gone, old, other], store)
    assert "6 pairs not tested" in text
    assert "|" not in text
    fine = keep(store, record(method="fine"), 12, 0)
    text = paired_tests([a, gone, fine], store)
    assert len(rows_of(text)) == 2
    assert "2 pairs not tested" in text
    assert paired_tests([record()], store) == ""


def test_pairs_whose_predictions_are_broken_are_counted_as_not_tested(store: Store) -> None:
    trials = [keep(store, record(method=name), 9, 0) for name in ("a", "b", "c")]
    (Path(store.url) / "artifacts" / trials[0].path_artifact / "predictions.npz").write_bytes(b"broken")
    text = paired_tests(trials, store)
    assert len(rows_of(text)) == 2  # CA and ASR of the one pair that is left
    assert "2 pairs not tested" in text
