import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tbar_ray.data.corpus import Corpus
from tbar_ray.data.evaluation_set import EvaluationSet
from tbar_ray.data.synthetic.captions import ZEROSHOT_TEMPLATES
from tbar_ray.data.synthetic.options import WritingOptions
from tbar_ray.data.synthetic.scenes import CLASS_NAMES, COLOURS, OTHER_COLOURS
from tbar_ray.data.synthetic.synth import write_corpus, write_evaluation_set
from tbar_ray.data.synthetic.tasks import TASKS, find_task, write_task
from tbar_ray.errors import DataError, SpecError
from tbar_ray.seeding import numpy_rng


def open_both(folder: Path) -> tuple[EvaluationSet, EvaluationSet]:
    return EvaluationSet.open(str(folder), split="train"), EvaluationSet.open(str(folder))


def pictures(corpus: Corpus) -> set[bytes]:
    return {corpus.image_bytes(position) for position in range(len(corpus))}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every task, small, and a corpus and an evaluation set of the same seed."""
    out = tmp_path_factory.mktemp("tasks")
    for name in TASKS:
        write_task(
            out / name,
            WritingOptions(size=16, samples_per_shard=70, seed=1, workers=1),
            task=name,
            per_class_train=3,
            per_class_test=2,
        )
    write_corpus(out / "corpus", WritingOptions(size=16, seed=1, workers=1), samples=180)
    write_evaluation_set(out / "eval", WritingOptions(size=16, seed=1, workers=1), per_class=3)
    return out


def test_the_tasks_share_words_with_the_corpus() -> None:
    assert {name: len(task.classnames) for name, task in TASKS.items()} == {
        "sketches": 60,
        "night": 60,
        "shapes": 10,
        "colours": 6,
    }
    assert all(name == task.name and task.about for name, task in TASKS.items())
    words = {word for name in CLASS_NAMES for word in name.split()}
    assert {word for task in TASKS.values() for name in task.classnames for word in name.split()} == words


@pytest.mark.parametrize("name", TASKS)
def test_both_splits_have_clip_benchmarks_layout(folder: Path, name: str) -> None:
    train, test = open_both(folder / name)
    classes = len(TASKS[name].classnames)
    assert train.classnames == test.classnames == TASKS[name].classnames
    assert train.templates == tuple(ZEROSHOT_TEMPLATES)
    for data, per_class in ((train, 3), (test, 2)):
        assert Counter(data.labels.tolist()) == dict.fromkeys(range(classes), per_class)
        assert data.labels.tolist() != sorted(data.labels.tolist())
        shards = -(-classes * per_class // 70)
        assert len(data.corpus.shard_urls) == shards
    assert set(test.keys(range(2))) == {f"{name}-test-{number:09d}" for number in range(2)}
    assert set(train.keys(range(2))) == {f"{name}-train-{number:09d}" for number in range(2)}


def test_no_key_and_no_picture_occurs_twice(folder: Path) -> None:
    corpora = [data.corpus for name in TASKS for data in open_both(folder / name)]
    corpora += [Corpus.open(str(folder / "corpus")), EvaluationSet.open(str(folder / "eval")).corpus]
    count = sum(map(len, corpora))
    assert len({key for corpus in corpora for key in corpus.keys}) == count
    assert len(set().union(*map(pictures, corpora))) == count


@pytest.mark.parametrize("name", TASKS)
def test_a_scene_is_of_its_class(name: str) -> None:
    task = TASKS[name]
    for number in range(120):
        label = number % len(task.classnames)
        scene = task.draw(numpy_rng(0, name, number), label)
        assert task.classnames[label] in (scene.class_name, scene.shape, scene.colour)
        known = {**COLOURS, **OTHER_COLOURS}[scene.colour]
        assert np.abs(np.subtract(scene.paint, known)).max() <= 0.05 + 1e-9


def test_shapes_come_in_all_colours_and_colours_in_all_shapes() -> None:
    shapes, colours = (
        [task.draw(numpy_rng(0, "many", number), number % len(task.classnames)) for number in range(600)]
        for task in (TASKS["shapes"], TASKS["colours"])
    )
    assert {scene.colour for scene in shapes} == set(COLOURS) | set(OTHER_COLOURS)
    assert len({(scene.colour, scene.shape) for scene in colours}) == 60
    assert not set(COLOURS) & set(OTHER_COLOURS)


def test_bytes_depend_on_the_arguments_and_not_on_the_workers(folder: Path, tmp_path: Path) -> None:
    done: list[int] = []
    summary = write_task(
        tmp_path / "again",
        WritingOptions(size=16, samples_per_shard=20, seed=1, workers=2),
        task="shapes",
        per_class_train=3,
        per_class_test=2,
        progress=done.append,
    )
    assert (summary.path, summary.samples, summary.shards) == (tmp_path / "again", 50, 3)
    assert sorted(done) == [10, 20, 20]
    shards = [*(tmp_path / "again").glob("*/*.tar")]
    assert summary.bytes == sum(path.stat().st_size for path in shards)
    for here, there in zip(open_both(folder / "shapes"), open_both(tmp_path / "again"), strict=True):
        assert here.keys(range(len(here.labels))) == there.keys(range(len(there.labels)))
        assert here.labels.tolist() == there.labels.tolist()
        assert [here.corpus.image_bytes(n) for n in range(20)] == [there.corpus.image_bytes(n) for n in range(20)]
    write_task(
        tmp_path / "other",
        WritingOptions(size=16, seed=2, workers=1),
        task="shapes",
        per_class_train=3,
        per_class_test=2,
    )
    assert not pictures(open_both(tmp_path / "other")[0].corpus) & pictures(open_both(folder / "shapes")[0].corpus)


def test_a_test_split_in_the_way_stops_the_training_split_too(tmp_path: Path) -> None:
    (tmp_path / "test").mkdir()
    (tmp_path / "test" / "0.tar").touch()
    arguments: dict[str, Any] = {"task": "colours", "per_class_train": 1, "per_class_test": 1}
    options = WritingOptions(size=16, workers=1, image_format="png")
    with pytest.raises(DataError, match="test already holds shards"):
        write_task(tmp_path, options, **arguments)
    assert [*(tmp_path / "train").glob("*.tar")] == []
    write_task(tmp_path, replace(options, overwrite=True), **arguments)
    assert all(corpus.image_extension(0) == "png" for corpus in (data.corpus for data in open_both(tmp_path)))


def test_unknown_tasks_and_bad_numbers(tmp_path: Path) -> None:
    assert find_task("night") is TASKS["night"]
    with pytest.raises(SpecError, match="no embedded task 'sketch'; did you mean 'sketches'"):
        write_task(tmp_path / "x", task="sketch")
    with pytest.raises(DataError, match="number of samples must be at least 1, not 0"):
        write_task(tmp_path / "x", task="night", per_class_test=0)
    assert not (tmp_path / "x").exists()


def test_workers_need_not_import_torch() -> None:
    code = "import sys, tbar_ray.data.synthetic.tasks; sys.exit('torch' in sys.modules or 'webdataset' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
