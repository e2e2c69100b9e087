"""Campaigns whose data are tables and folders of images: they are imported once, and read as other sets are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tbar_ray.data.corpus import Corpus
from tbar_ray.data.evaluation_set import EvaluationSet
from tbar_ray.data.raw.pairs import import_pairs
from tbar_ray.errors import DataError, SpecError
from tbar_ray.execution.stage_task import compute
from tbar_ray.planning.planner import Planner, campaign_fingerprint
from tbar_ray.planning.preflight import check_campaign
from tbar_ray.planning.raw_material import imported_set
from tbar_ray.planning.stand_ins import StandIns, known_classes
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.stages.imported import ImportedPairs, ImportedSet
from tbar_ray.store.store import Store
from tests.data.raw.material import write_folder, write_table
from tests.specs import spec


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A table, an evaluation set in class folders, and a task."""
    write_table(tmp_path / "pairs", 9)
    write_folder(tmp_path / "set", hat=2, shoe=3)
    write_folder(tmp_path / "task" / "train", sea=2, land=2)
    write_folder(tmp_path / "task" / "val", sea=1, land=1)
    return tmp_path


def raw(home: Path, **changes: Any) -> CampaignSpec:
    settings: dict[str, Any] = {
        "data": {"train": str(home / "pairs" / "pairs.csv"), "evaluation": str(home / "set")},
        "model": {"architecture": "tbar-RN-tiny", "pretrained": "scenes"},
        "tasks": {"beach": {"url": str(home / "task")}},
        "attacks": {
            "one": {"trigger": "badnets", "target": "shoe"},
            "two": {"trigger": "badnets", "target": "sea", "task": "beach"},
        },
        "poison": {"count": 2},
        "forget": {"size": 4},
        "search": {"axes": {"attack": ["one", "two"]}},
    }
    return spec(**{**settings, **changes})


def test_they_are_imported_into_the_store_and_opened_there(home: Path) -> None:
    planner = Planner(raw(home))
    check_campaign(planner)
    base, store = planner.foundation(), Store(str(home / "store"))
    assert base.samples == 9
    task = base.tasks["beach"]
    for node in (base.corpus, base.evaluation, task):
        assert isinstance(node, ImportedPairs | ImportedSet)
        compute(node, store)
        assert not list(store.fetch(node.artifact).rglob(".import.lock"))
    corpus = Corpus.open(base.corpus.url(store))
    assert [corpus.caption(i) for i in range(2)] == ['a "hat", number 0', 'a "shoe", number 1']
    found = EvaluationSet.open(base.evaluation.url(store))
    assert tuple(found.classnames) == ("hat", "shoe")
    assert len(found.templates) == 80
    train, test = (EvaluationSet.open(task.url(store), split=split) for split in ("train", "test"))
    assert (len(train.corpus), len(test.corpus)) == (4, 2)


def test_they_count_by_content_and_not_by_place(home: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    copy = tmp_path_factory.mktemp("copy")
    write_table(copy / "pairs", 9)
    write_folder(copy / "set", hat=2, shoe=3)
    here = Planner(raw(home)).foundation()
    there = Planner(raw(copy, tasks={}, attacks={"one": {"trigger": "badnets", "target": "shoe"}},
                        search={"axes": {"attack": ["one"]}})).foundation()  # fmt: skip
    assert here.corpus.fingerprint == there.corpus.fingerprint
    assert here.evaluation.fingerprint == there.evaluation.fingerprint
    write_table(copy / "pairs", 8)
    changed = imported_set(str(home / "set"), None, "error")
    assert changed.fingerprint != here.evaluation.fingerprint


def test_what_changed_since_it_was_planned_is_not_imported(home: Path) -> None:
    base = Planner(raw(home)).foundation()
    (home / "set" / "hat" / "0.png").write_bytes(b"short")
    assert isinstance(base.evaluation, ImportedSet)
    with pytest.raises(DataError, match="changed since the campaign was planned: run again"):
        compute(base.evaluation, Store(str(home / "store")))


def test_what_cannot_be_read_is_left_out_and_named(home: Path) -> None:
    (home / "pairs" / "images" / "3.jpg").write_bytes(b"no image")
    corpus = Planner(raw(home)).foundation().corpus
    assert isinstance(corpus, ImportedPairs)
    facts = compute(corpus, Store(str(home / "store")))
    assert (facts["samples"], facts["skipped"]) == (8, 1)
    assert facts["lost"][0].startswith("000000003: ")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"attacks": {"one": {"trigger": "badnets", "target": "sho"}}, "search": {"axes": {"attack": ["one"]}}},
         r"attacks.one.target: 'sho' is not a class .*'shoe'"),
        ({"forget": {"size": 40}}, "forget.size: 40 images asked for, but 9 samples"),
    ],
)  # fmt: skip
def test_targets_and_sizes_are_checked_before_anything_is_imported(
    home: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(SpecError, match=said):
        check_campaign(Planner(raw(home, **changes)))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"subset": "some.json"}, "data.subset: it is of shards; make them of .*tbar data import"),
        ({"columns": {"image": "filepath"}}, "has no column 'filepath'; it has: image, caption, type"),
        ({"evaluation": "pairs/pairs.csv"}, "has no column 'label'"),
        ({"train": [{"url": "pairs/pairs.csv"}]}, "a list of corpora is of shards"),
        ({"evaluation": "pairs/images"}, "lies in no class's subfolder"),
    ],
)
def test_what_cannot_be_imported_is_one_line(
    home: Path, monkeypatch: pytest.MonkeyPatch, data: dict[str, Any], said: str
) -> None:
    monkeypatch.chdir(home)
    given = {"train": "pairs/pairs.csv", "evaluation": "set", **data}
    with pytest.raises(DataError, match=said):
        Planner(raw(home, data=given)).foundation()


def test_a_tasks_splits_have_the_same_classes(home: Path) -> None:
    write_folder(home / "task" / "val", air=1)
    with pytest.raises(DataError, match=r"have other classes; give both a classnames.txt"):
        Planner(raw(home)).foundation()


def test_of_a_folder_with_splits_the_test_split_is_the_evaluation_set(home: Path) -> None:
    found = imported_set(str(home / "task"), None, "warn")
    assert (found.rows, found.classnames, found.splits) == (2, ("land", "sea"), ("test",))


def test_a_rehearsal_knows_their_classes_and_labels(home: Path) -> None:
    assert known_classes(str(home / "set")) == ("hat", "shoe")
    assert not StandIns.of([raw(home)], home / "out").labelled
    assert StandIns.of([raw(home, data={**raw(home).data.model_dump(), "columns": {"label": "type"}})], home).labelled


def test_campaigns_without_columns_keep_their_fingerprints() -> None:
    plain = spec()
    assert "columns" in plain.model_dump()["data"]
    content = {**plain.model_dump(), "data": {**plain.model_dump()["data"], "columns": {"caption": "title"}}}
    assert campaign_fingerprint(plain) != campaign_fingerprint(CampaignSpec.model_validate(content))


def test_the_same_shards_come_of_the_command(home: Path) -> None:
    from tbar_ray.data.raw.columns import Columns
    from tbar_ray.data.raw.table import open_table
    from tbar_ray.data.raw.writing import ImportOptions

    corpus, store = Planner(raw(home)).foundation().corpus, Store(str(home / "store"))
    assert isinstance(corpus, ImportedPairs)
    compute(corpus, store)
    table = open_table(home / "pairs" / "pairs.csv")
    import_pairs(table, Columns("image", "caption"), home / "out", ImportOptions(workers=1))
    assert (home / "out" / "00000.tar").read_bytes() == (store.fetch(corpus.artifact) / "00000.tar").read_bytes()
