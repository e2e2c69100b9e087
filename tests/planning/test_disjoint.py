"""Sets that must have no image in common."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tbar_ray.data.corpus import Corpus
from tbar_ray.data.subset import Subset, write_subset
from tbar_ray.errors import SpecError
from tbar_ray.planning import disjoint
from tbar_ray.planning.disjoint import shared_images
from tbar_ray.planning.planner import Planner
from tbar_ray.planning.preflight import check_campaign
from tests.data.tars import picture, sample, write_tar
from tests.specs import spec

NAMES = ("red circle", "hat")


def write_set(place: Path, split: str, values: range) -> None:
    """A labelled split with an image of each of these grey values."""
    (place / split).mkdir(parents=True)
    (place / "classnames.txt").write_text("\n".join(NAMES))
    (place / "zeroshot_classification_templates.txt").write_text("a {c}")
    (place / split / "nshards.txt").write_text("1")
    members = [(f"s{n}.{name}", data) for n in values for name, data in (("jpg", picture(value=n)), ("cls", b"1"))]
    write_tar(place / split / "0.tar", members)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """40 training pairs and 10 evaluation images, which no pair has."""
    (tmp_path / "train").mkdir()
    members = [member for n in range(40) for member in sample(f"k{n:02d}", image=picture(value=n))]
    write_tar(tmp_path / "train" / "00000.tar", members)
    write_set(tmp_path / "eval", "test", range(100, 110))
    return tmp_path


def lines(place: Path, tasks: dict[str, Any] | None = None, **data: Any) -> list[str]:
    given = {"train": str(place / "train"), "evaluation": str(place / "eval"), **data}
    return shared_images(spec(data=given, tasks=tasks or {}))


def test_sets_without_a_common_image_are_well(place: Path) -> None:
    assert lines(place) == []
    assert shared_images(spec()) == []


def test_images_that_are_trained_on_and_scored_are_warned_of(place: Path) -> None:
    shutil.rmtree(place / "eval")
    write_set(place / "eval", "test", range(38, 48))
    said = "data.evaluation: 2 of 10 images that were compared are also in data.train (first: s38); `tbar data overlap`"
    (line,) = lines(place)
    assert line.startswith(said)
    planner = Planner(spec(data={"train": str(place / "train"), "evaluation": str(place / "eval")}, forget__size=1))
    check_campaign(planner)
    assert planner.warnings == (line,)


def test_of_a_subset_its_samples_alone_are_trained_on(place: Path) -> None:
    shutil.rmtree(place / "eval")
    corpus = Corpus.open(str(place / "train"))
    chosen = Subset.choose(corpus, 39, seed=0)
    (left_out,) = set(corpus.keys) - set(chosen.keys)
    write_set(place / "eval", "test", range(int(left_out[1:]), int(left_out[1:]) + 1))
    assert len(lines(place)) == 1
    write_subset(chosen, place / "m.json")
    assert lines(place, subset=str(place / "m.json")) == []


def test_a_shard_that_is_of_both_is_refused(place: Path) -> None:
    with pytest.raises(SpecError, match=r"^data\.evaluation: .*eval/test/0\.tar is a shard of data\.train too"):
        lines(place, train=[{"url": str(place / "train")}, {"url": str(place / "eval" / "test")}])
    write_set(place / "other", "test", range(60, 61))
    with pytest.raises(SpecError, match=r"^data\.retrieval: "):
        lines(place, train=str(place / "eval" / "test"), evaluation=f"{place}/other", retrieval=f"{place}/eval")


def test_a_task_is_scored_on_images_that_it_does_not_train_on(place: Path) -> None:
    write_set(place / "task", "train", range(10, 20))
    write_set(place / "task", "test", range(19, 29))
    (line,) = lines(place, {"night": {"url": str(place / "task")}})
    assert line.startswith("tasks.night: 1 of 10 images that were compared are also in tasks.night")


def test_large_sets_are_not_read(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(place / "eval")
    write_set(place / "eval", "test", range(38, 48))
    monkeypatch.setattr(disjoint, "SMALL", 1000)
    assert lines(place) == []
