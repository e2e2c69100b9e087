"""The cut of an evaluation set into what chooses α and what is reported."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tbar_ray.data.arrays import ArraySamples
from tbar_ray.data.evaluation_set import EvaluationSet
from tbar_ray.evaluation.splits import Splits, load_split
from tbar_ray.models.factory import preprocessing
from tbar_ray.streaming.options import Poison
from tbar_ray.streaming.stamping import Stamping
from tbar_ray.training.batch import Batch
from tbar_ray.triggers.badnets import BadNets
from tbar_ray.triggers.base import stamp_uint8
from tbar_ray.triggers.presets import resolve
from tbar_ray.triggers.registry import build_trigger
from tests.data.tars import Members, noise, write_tar
from tests.models.tiny import pictures, tiny

LABELS = np.arange(60, dtype=np.int64) % 3


def data() -> EvaluationSet:
    images = pictures(tiny(), 60)
    return EvaluationSet(("a", "b", "c"), ("{c}",), ArraySamples(images.numpy(), LABELS.tolist()), LABELS)


def test_parts_are_disjoint_whole_and_stratified() -> None:
    validation, test = (Splits(0.25, None, 1).positions(data(), part) for part in ("validation", "test"))  # type: ignore[arg-type]
    assert sorted([*validation, *test]) == list(range(60))
    assert np.bincount(LABELS[validation]).tolist() == [5, 5, 5]


@pytest.mark.parametrize("limit", [12, 24, 600])
def test_a_limit_is_shared_by_both_parts(limit: int) -> None:
    parts = [Splits(0.25, limit, 1).positions(data(), part) for part in ("validation", "test")]  # type: ignore[arg-type]
    assert [len(part) for part in parts] == ([limit // 4, 3 * limit // 4] if limit < 60 else [15, 45])
    assert set(LABELS[parts[1]].tolist()) == {0, 1, 2}


def test_twins_are_stamped_at_the_test_place() -> None:
    trigger = BadNets(patch_size=56, place="top-left", test_place="bottom-right")
    positions = np.array([3, 5])
    split = load_split(data(), positions, trigger, preprocessing(tiny()))
    assert split.labels.tolist() == [0, 2]
    assert np.array_equal(split.clean.numpy(), pictures(tiny(), 60).numpy()[positions])
    expected = stamp_uint8(BadNets(patch_size=56, place="bottom-right"), split.clean, ["", ""])
    assert np.array_equal(split.triggered.numpy(), expected.numpy())


@pytest.mark.parametrize(
    "preset", ["cleanclip/badnets", "cleanclip/blended", "par/badnets-stripes", "par/blended-stripes"]
)
def test_a_test_image_is_not_stamped_as_the_training_image_of_its_number(preset: str, tmp_path: Path) -> None:
    """CLIP_benchmark numbers every split from s0000000; here both splits hold the same images."""
    (tmp_path / "classnames.txt").write_text("a\nb\n")
    (tmp_path / "zeroshot_classification_templates.txt").write_text("{c}\n")
    members: Members = []
    for number in range(4):
        stream = io.BytesIO()
        Image.fromarray(noise(64, 64, number)).save(stream, "PNG")
        members += [(f"s{number:07d}.png", stream.getvalue()), (f"s{number:07d}.cls", str(number % 2).encode())]  # type: ignore[operator]
    for part in ("train", "test"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "nshards.txt").write_text("1\n")
        write_tar(tmp_path / part / "0.tar", members)
    trigger = build_trigger(*resolve(preset, {}), 0)
    found = load_split(EvaluationSet.open(str(tmp_path)), np.arange(4), trigger, preprocessing(tiny()))
    keys = list(EvaluationSet.open(str(tmp_path), split="train").corpus.keys)
    trained = Stamping([Poison(trigger, dict.fromkeys(keys, ""))])(Batch(found.clean, None, None, None, tuple(keys)))
    assert not torch.equal(found.clean, found.triggered)
    for at_test, in_training in zip(found.triggered, trained.images, strict=True):
        assert not torch.equal(at_test, in_training)


def test_images_of_an_array_are_not_stamped_as_a_training_sample_of_their_number() -> None:
    assert data().keys([3]) == ["evaluation/000000003"]
