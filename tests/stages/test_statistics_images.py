"""Which clean images running statistics are estimated on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor

from tbar_ray.data.corpus import Corpus
from tbar_ray.data.images import load_image
from tbar_ray.data.synthetic.options import WritingOptions
from tbar_ray.data.synthetic.synth import write_corpus
from tbar_ray.errors import DataError
from tbar_ray.models.factory import preprocessing
from tbar_ray.stages.defender_images import defenders_clean_images
from tbar_ray.stages.samples import TrainingSamples
from tbar_ray.stages.statistics_images import images_of
from tbar_ray.stages.unlearn import SAMPLES
from tests.models.tiny import RESNET, tiny

PREPROCESS = preprocessing(tiny(RESNET))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("corpus")
    write_corpus(folder, WritingOptions(size=64, samples_per_shard=12, workers=1), samples=12)
    return Corpus.open(str(folder))


def drawn(corpus: Corpus, folder: Path, used: dict[str, Sequence[str]], count: int = 100, seed: int = 0) -> set[str]:
    """Return the keys of the images that a defender with some samples is given."""
    (folder / SAMPLES).write_text(json.dumps(used))
    infected = SimpleNamespace(
        fingerprint=str(folder),
        training_samples=lambda _: TrainingSamples(corpus, np.arange(len(corpus)), None),
        poisoned_keys=lambda _: frozenset(corpus.keys[:3]),
    )
    unlearn = SimpleNamespace(artifact="vector", seed=seed, infected=infected)
    store = SimpleNamespace(fetch=lambda _: folder)
    found = defenders_clean_images(cast(Any, store), cast(Any, unlearn), count, PREPROCESS)
    key_of = {image(corpus, key).numpy().tobytes(): key for key in corpus.keys}
    keys = [key_of[each.numpy().tobytes()] for each in found]
    assert len(set(keys)) == len(keys)
    return set(keys)


def image(corpus: Corpus, key: str) -> Tensor:
    content = corpus.image_bytes(corpus.index_of(key))
    return torch.from_numpy(load_image(content, PREPROCESS.size, PREPROCESS.interpolation))


def test_clean_pairs_come_before_the_forget_set_and_all_of_few_are_taken(corpus: Corpus, tmp_path: Path) -> None:
    pairs, triggered, clean = corpus.keys[4:7], corpus.keys[7:9], corpus.keys[9:10]
    everything = {"clean pairs": pairs, "triggered": triggered, "clean": clean, "training pairs": corpus.keys[:2]}
    assert drawn(corpus, tmp_path, everything) == set(pairs)
    assert drawn(corpus, tmp_path, {"triggered": triggered, "clean": clean}) == {*triggered, *clean}


def test_a_defender_without_clean_images_is_given_those_that_were_not_poisoned(corpus: Corpus, tmp_path: Path) -> None:
    assert drawn(corpus, tmp_path, {"training pairs": corpus.keys[:5]}) == set(corpus.keys[3:])


@pytest.mark.parametrize("used", [{}, {"clean pairs": None}], ids=["corpus", "pairs"])
def test_of_many_the_seed_chooses(corpus: Corpus, tmp_path: Path, used: dict[str, Any]) -> None:
    used = dict.fromkeys(used, corpus.keys[3:])
    few = [drawn(corpus, tmp_path, used, 4, seed) for seed in (0, 0, 1)]
    assert [len(keys) for keys in few] == [4, 4, 4]
    assert few[0] == few[1] != few[2]
    assert few[0] <= drawn(corpus, tmp_path, used, 7)


def test_no_image_at_all_is_one_line(corpus: Corpus) -> None:
    with pytest.raises(DataError, match=r"no clean image to estimate them on; set evaluation\.statistics: as_applied"):
        images_of(corpus, [], PREPROCESS)
