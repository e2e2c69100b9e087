import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tbar_ray.data.evaluation_set import EvaluationSet
from tbar_ray.data.images import load_image
from tbar_ray.data.synthetic.captions import ZEROSHOT_TEMPLATES
from tbar_ray.data.synthetic.options import WritingOptions
from tbar_ray.data.synthetic.scenes import CLASS_NAMES
from tbar_ray.data.synthetic.synth import write_evaluation_set
from tbar_ray.errors import DataError
from tests.data.tars import picture, write_tar


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("evaluation")
    write_evaluation_set(out, WritingOptions(size=16, samples_per_shard=100, workers=1), per_class=4)
    return out


@pytest.fixture(scope="module")
def evaluation(folder: Path) -> EvaluationSet:
    return EvaluationSet.open(str(folder))


def write(folder: Path, labels: list[str | None], order: list[int] | None = None, names: str = "cat\ndog\n") -> Path:
    """Write a set of two classes in one shard; a label of None leaves the .cls out."""
    (folder / "test").mkdir(parents=True)
    (folder / "classnames.txt").write_text(names)
    (folder / "zeroshot_classification_templates.txt").write_text("a {c}\n")
    (folder / "test" / "nshards.txt").write_text("1\n")
    members = []
    for number in order or range(len(labels)):
        members.append((f"s{number:04d}.jpg", picture()))
        if labels[number] is not None:
            members.append((f"s{number:04d}.cls", str(labels[number]).encode()))
    write_tar(folder / "test" / "0.tar", members)
    return folder


def test_a_set_of_several_shards_is_read_whole(folder: Path, evaluation: EvaluationSet) -> None:
    assert evaluation.classnames == CLASS_NAMES
    assert evaluation.templates == tuple(ZEROSHOT_TEMPLATES)
    assert (folder / "test" / "nshards.txt").read_text().strip() == "3"
    assert Counter(evaluation.labels.tolist()) == dict.fromkeys(range(60), 4)
    assert evaluation.keys([0, 239]) == ["e000000000", "e000000239"]
    again = EvaluationSet.open(f"{folder}/")
    assert np.array_equal(again.labels, evaluation.labels)


def test_images_are_decoded_at_the_size_asked_for(evaluation: EvaluationSet) -> None:
    positions = np.array([5, 0, 7])
    images = evaluation.images(positions, 24, "bilinear")
    assert (images.shape, images.dtype) == ((3, 3, 24, 24), np.uint8)
    for row, position in enumerate(positions.tolist()):
        data = evaluation.corpus.image_bytes(position)
        assert np.array_equal(images[row], load_image(data, 24, "bilinear"))


def test_classes_by_name(evaluation: EvaluationSet) -> None:
    assert all(evaluation.class_index(name) == index for index, name in enumerate(CLASS_NAMES))
    with pytest.raises(DataError, match=r"target 'red circl' is not a class .*did you mean 'red circle'") as caught:
        evaluation.class_index("red circl")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("fraction", [0.25, 0.5, 0.75])
def test_the_split_is_disjoint_whole_and_stratified(evaluation: EvaluationSet, fraction: float) -> None:
    validation, test = evaluation.split(fraction, 0)
    assert sorted([*validation, *test]) == list(range(240))
    assert Counter(evaluation.labels[validation].tolist()) == dict.fromkeys(range(60), int(4 * fraction))
    assert validation.tolist() == sorted(validation)
    assert test.tolist() == sorted(test)


def test_the_split_depends_on_keys_and_seed_and_not_on_the_order(tmp_path: Path) -> None:
    labels: list[str | None] = [str(number % 2) for number in range(24)]
    here = EvaluationSet.open(str(write(tmp_path / "a", labels)))
    there = EvaluationSet.open(str(write(tmp_path / "b", labels, order=list(range(23, -1, -1)))))
    assert here.corpus.keys[0] != there.corpus.keys[0]
    for seed in range(3):
        for left, right in zip(here.split(0.5, seed), there.split(0.5, seed), strict=True):
            assert set(here.keys(left)) == set(there.keys(right))
            assert {key.rpartition("/")[0] for key in here.keys(left)} == {here.corpus.namespace}  # type: ignore[attr-defined]
    assert set(here.split(0.5, 0)[0]) != set(here.split(0.5, 1)[0])


@pytest.mark.parametrize(("fraction", "expected"), [(0.1, 50), (0.3, 150), (0.5, 250), (0.8, 400)])
def test_the_validation_part_is_the_fraction_of_all_images(fraction: float, expected: int, tmp_path: Path) -> None:
    labels: list[str | None] = [str(number // 5) for number in range(500)]
    names = "".join(f"class {number}\n" for number in range(100))
    data = EvaluationSet.open(str(write(tmp_path / "a", labels, names=names)))
    validation, test = data.split(fraction, 0)
    assert (len(validation), len(test)) == (expected, 500 - expected)
    counts = np.bincount(data.labels[validation], minlength=100)
    assert set(counts.tolist()) <= {int(5 * fraction), int(5 * fraction) + 1}
    other = EvaluationSet.open(str(write(tmp_path / "b", labels, order=list(range(499, -1, -1)), names=names)))
    assert set(other.keys(other.split(fraction, 0)[0])) == set(data.keys(validation))


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.95])
def test_a_split_with_an_empty_part_is_refused(tmp_path: Path, fraction: float) -> None:
    small = EvaluationSet.open(str(write(tmp_path / "a", ["0", "0", "1", "1"])))
    with pytest.raises(DataError, match=f"validation fraction of {fraction} of 4 images leaves"):
        small.split(fraction, 0)


@pytest.mark.parametrize("count", ["0", "-1", "two", "1.5", "²", "1 2", "99999999999999", "1000001"])
def test_a_broken_number_of_shards(tmp_path: Path, count: str) -> None:
    place = write(tmp_path / "a", ["0", "1"])
    (place / "test" / "nshards.txt").write_text(count, encoding="utf-8")
    with pytest.raises(DataError, match=r"nshards\.txt: .* is not a number of shards"):
        EvaluationSet.open(str(place))


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("2", "0.tar: sample 's0001' has class 2, but classnames.txt has 2 classes"),
        ("-1", "has class -1"),
        (None, "has no .cls, but"),
        ("dog", r"s0001.cls in .*0\.tar is not a class index"),
    ],
)
def test_a_label_that_is_no_class(tmp_path: Path, label: str | None, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        EvaluationSet.open(str(write(tmp_path / "a", ["0", label])))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["classnames.txt", "zeroshot_classification_templates.txt", "test/nshards.txt"])
def test_a_missing_or_empty_part_is_named(tmp_path: Path, name: str) -> None:
    place = write(tmp_path / "a", ["0", "1"])
    (place / name).write_text(" \n\n")
    with pytest.raises(DataError, match=f"{name} is empty"):
        EvaluationSet.open(str(place))
    (place / name).unlink()
    with pytest.raises(DataError, match=f"{name} cannot be read .*CLIP_benchmark"):
        EvaluationSet.open(str(place))


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    place = write(tmp_path / "a", ["0", "1"])
    (place / "test" / "nshards.txt").write_text("2")
    with pytest.raises(DataError, match=r"1\.tar"):
        EvaluationSet.open(str(place))


def test_the_training_split_is_read_when_asked_for(tmp_path: Path) -> None:
    place = write(tmp_path / "a", ["0", "1"])
    with pytest.raises(DataError, match=r"a has no train/nshards\.txt: the single-task setting needs `train/`"):
        EvaluationSet.open(str(place), split="train")
    shutil.copytree(place / "test", place / "train")
    write_tar(place / "train" / "0.tar", [("t0.png", picture(form="PNG")), ("t0.cls", b"1")])
    train = EvaluationSet.open(str(place), split="train")
    assert (train.corpus.name(0), train.labels.tolist()) == ("t0", [1])  # type: ignore[attr-defined]
    assert EvaluationSet.open(str(place)).labels.tolist() == [0, 1]


def test_classes_without_an_image_are_named(tmp_path: Path, evaluation: EvaluationSet) -> None:
    place = write(tmp_path / "a", ["2", "0", "2"], names="cat\ndog\nfox\nowl\n")
    assert EvaluationSet.open(str(place)).empty_classes() == ["dog", "owl"]
    assert evaluation.empty_classes() == []


def test_a_set_without_images_is_refused(tmp_path: Path) -> None:
    place = write(tmp_path / "a", [])
    with pytest.raises(DataError, match=r"no sample with an image in .*test/0\.tar") as caught:
        EvaluationSet.open(str(place))
    assert "\n" not in str(caught.value)
