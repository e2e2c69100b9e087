import json
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tbar_ray.data.corpus import Corpus
from tbar_ray.data.evaluation_set import EvaluationSet
from tbar_ray.data.retrieval_set import RetrievalSet
from tbar_ray.data.synthetic import Scenes
from tbar_ray.data.synthetic.options import WritingOptions
from tbar_ray.data.synthetic.retrieval_writer import write_retrieval_set
from tbar_ray.data.synthetic.rich.vocabulary import RICH_CLASS_NAMES
from tbar_ray.data.synthetic.synth import write_corpus, write_evaluation_set

SCENES: tuple[Scenes, ...] = ("plain", "rich")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("families")
    for scenes in SCENES:
        options = WritingOptions(size=16, seed=2, workers=1)
        write_corpus(out / scenes, replace(options, samples_per_shard=200), samples=300, scenes=scenes)
        write_evaluation_set(out / scenes / "eval", options, per_class=1, scenes=scenes)
        write_retrieval_set(out / scenes / "retrieval", options, pairs=300, scenes=scenes)
    return out


def records(folder: Path) -> list[dict[str, Any]]:
    found = []
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                file = tar.extractfile(member)
                if file is not None and member.name.endswith(".json"):
                    found.append(json.load(file))
    return found


def test_a_rich_record_names_the_objects_of_its_caption(folder: Path) -> None:
    drawn = records(folder / "rich")
    assert len(drawn) == 300
    for record in drawn:
        assert record["label"] == record["objects"][0]
        assert (record["arrangement"] == "alone") == (len(record["objects"]) == 1)
        for name in record["objects"]:
            assert name in record["caption"]
    assert len({tuple(record["objects"]) for record in drawn}) > 250


def test_the_evaluation_set_has_480_classes(folder: Path) -> None:
    data = EvaluationSet.open(str(folder / "rich" / "eval"))
    assert tuple(data.classnames) == RICH_CLASS_NAMES
    assert sorted(data.labels.tolist()) == list(range(480))


def test_no_two_rich_images_are_described_alike(folder: Path) -> None:
    data = RetrievalSet.open(str(folder / "rich" / "retrieval"))
    assert {len(captions) for captions in data.captions} == {1, 2}
    assert len({caption for captions in data.captions for caption in captions}) == sum(map(len, data.captions))


def test_no_picture_occurs_twice_among_families_and_sets(folder: Path) -> None:
    corpora = [
        Corpus.open(str(folder / scenes / part))
        for scenes in ("plain", "rich")
        for part in ("", "eval/test", "retrieval/test")
    ]
    pictures = [corpus.image_bytes(position) for corpus in corpora for position in range(len(corpus))]
    assert len(set(pictures)) == len(pictures)
    for scenes in (corpora[:3], corpora[3:]):
        keys = [key for corpus in scenes for key in corpus.keys]
        assert len(set(keys)) == len(keys)


def test_bytes_do_not_depend_on_the_workers(folder: Path, tmp_path: Path) -> None:
    write_corpus(
        tmp_path, WritingOptions(samples_per_shard=200, size=16, seed=2, workers=2), samples=300, scenes="rich"
    )
    for name in ("00000.tar", "00001.tar"):
        assert (tmp_path / name).read_bytes() == (folder / "rich" / name).read_bytes()
