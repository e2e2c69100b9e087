"""Stand-ins are read by the code that reads real sets, and have the classes that were asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tbar_ray.data.benchmark_layout import open_split
from tbar_ray.data.corpus import Corpus
from tbar_ray.data.evaluation_set import EvaluationSet
from tbar_ray.data.images import load_image
from tbar_ray.data.retrieval_set import RetrievalSet
from tbar_ray.data.selection import mentions
from tbar_ray.data.synthetic.stand_in import Classes, write_captioned, write_labelled, write_pairs

CLASSES = Classes(("banana", "abbey", "sea"), ("a photo of a {c}.", "the {c}"))


@pytest.mark.parametrize("labelled", [False, True])
def test_pairs_name_every_class_alike(tmp_path: Path, labelled: bool) -> None:
    pattern = write_pairs(tmp_path / "train", CLASSES, 16, 9, labelled=labelled)
    corpus = Corpus.open(pattern)
    assert len(corpus) == 9
    assert len(set(corpus.shards(range(9)).tolist())) == 2  # type: ignore[arg-type]
    captions = [corpus.caption(i) or "" for i in range(9)]
    assert [sum(mentions(caption, name) for caption in captions) for name in CLASSES.names] == [3, 3, 3]
    assert {"a photo of a banana.", "the banana"} <= set(captions)
    assert corpus.label(0) == ("banana" if labelled else None)
    assert load_image(corpus.image_bytes(0), 16).shape == (3, 16, 16)


def test_a_task_has_both_splits_and_other_images_in_each(tmp_path: Path) -> None:
    write_labelled(tmp_path / "task", CLASSES, 16, 2, ("train", "test"))
    data = EvaluationSet.open(str(tmp_path / "task"))
    assert (tuple(data.classnames), tuple(data.templates)) == (CLASSES.names, CLASSES.templates)
    train, test = (open_split(str(tmp_path / "task"), split) for split in ("train", "test"))
    assert [test.class_index(i) for i in range(len(test))] == [0, 1, 2, 0, 1, 2]
    assert len(train) == 6
    assert not {train.image_bytes(i) for i in range(6)} & {test.image_bytes(i) for i in range(6)}


def test_a_retrieval_set_has_captions_of_its_own(tmp_path: Path) -> None:
    write_captioned(tmp_path / "retrieval", CLASSES, 16, 4)
    data = RetrievalSet.open(str(tmp_path / "retrieval"))
    assert len(data.captions) == 4
    assert len(set(data.captions)) == 4
