"""What a defender reads of samples: stamped, labelled, captioned; and what was planted in the attacker's data."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from tbar_ray.data.arrays import ArraySamples
from tbar_ray.errors import DataError, ShardChangedError
from tbar_ray.evaluation.class_prompts import ClassPrompts
from tbar_ray.models.factory import preprocessing
from tbar_ray.models.tokenizer import Tokenizer
from tbar_ray.triggers.base import cover_uint8, stamp_uint8
from tbar_ray.triggers.wanet import WaNet
from tbar_ray.unlearning.defender import CleanSet
from tbar_ray.unlearning.reader import DefenderReader, Planted, stamped_by_defender
from tests.models.tiny import pictures, tiny, tokenizer
from tests.unlearning.planted import NAMES, TARGET, TEMPLATES, TRIGGER

COUNT = 24
LABELS = [row % len(NAMES) for row in range(COUNT)]
IMAGES = pictures(tiny(), COUNT)


class Listening:
    """A tokenizer that keeps the texts that it was given."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, texts: list[str]) -> Tensor:
        self.texts = list(texts)
        return tokenizer()(texts)


class NamedSamples(ArraySamples):
    """Samples with a class by name, as shards have."""

    def __init__(self, images: NDArray[np.uint8], labels: list[int], names: list[str]) -> None:
        super().__init__(images, labels)
        self._names = names

    def label(self, position: int) -> str | None:
        return self._names[position]


def reader(tokenizer: Tokenizer, seed: int = 0, captions: list[str] | None = None) -> DefenderReader:
    samples = ArraySamples(IMAGES.numpy(), LABELS, captions)
    classes = ClassPrompts(NAMES, TEMPLATES, tokenizer)
    return DefenderReader(samples, classes, preprocessing(tiny()), seed, numbered=True)


def rows_of(keys: list[str]) -> list[int]:
    return [int(key) for key in keys]


def test_triggered_images_are_stamped_and_named_after_the_target_and_clean_ones_as_they_are() -> None:
    heard = Listening()
    reading = reader(heard)
    found = reading.forget_set(reading.plan(12, 0.25, NAMES[TARGET]), TRIGGER, NAMES[TARGET])
    stamped, clean = rows_of(reading.keys["triggered"]), rows_of(reading.keys["clean"])
    assert (len(stamped), len(clean)) == (9, 3)
    assert all(LABELS[row] != TARGET for row in stamped)
    assert torch.equal(found.twins, IMAGES[stamped + clean])
    draws = [f"forget/{key}" for key in reading.keys["triggered"]]
    expected = torch.cat((stamp_uint8(TRIGGER, IMAGES[stamped], draws), IMAGES[clean]))
    assert torch.equal(found.images, expected)
    assert found.labels.tolist() == [TARGET] * 9 + [LABELS[row] for row in clean]
    named = [NAMES[TARGET]] * 9 + [NAMES[LABELS[row]] for row in clean]
    for text, name in zip(heard.texts, named, strict=True):
        assert any(re.fullmatch(template.replace("{c}", name), text) for template in TEMPLATES), text
    assert len(set(heard.texts[:9])) > 1, "templates are drawn for each sample"


def test_own_captions_come_before_templates() -> None:
    heard = Listening()
    pairs = reader(heard, captions=[f"caption {row}" if row % 2 else "" for row in range(COUNT)]).clean_pairs(COUNT)
    rows = [int(np.flatnonzero([torch.equal(image, other) for other in IMAGES])[0]) for image in pairs.images]
    for row, caption in zip(rows, pairs.captions, strict=True):
        assert caption == f"caption {row}" if row % 2 else NAMES[LABELS[row]] in caption
    assert pairs.labels.tolist() == [LABELS[row] for row in rows]


def test_training_pairs_are_as_the_attacker_trained_on_them() -> None:
    trigger = WaNet(seed=1)
    poisoned, cover = {"000000001": "new words", "000000004": None}, ["000000006"]
    reading = reader(tokenizer())
    trained = [f"{row:09d}" for row in range(8)]
    found = reading.training_pairs(8, trained, [Planted(trigger, NAMES[TARGET], TARGET, poisoned, cover)])
    keys = reading.keys["training pairs"]
    assert sorted(keys) == trained
    for key, image, caption, label in zip(keys, found.images, found.captions, found.labels.tolist(), strict=True):
        clean = IMAGES[int(key)]
        if key in poisoned:
            assert torch.equal(image, stamp_uint8(trigger, clean[None], [key])[0])
            assert label == TARGET
            assert caption == (poisoned[key] or caption)
            assert poisoned[key] is not None or NAMES[TARGET] in caption
        elif key in cover:
            assert torch.equal(image, cover_uint8(trigger, clean[None], [key])[0])
            assert label == LABELS[int(key)]
        else:
            assert torch.equal(image, clean)
            assert NAMES[label] in caption


def test_what_is_excluded_is_not_read_and_too_few_get_one_line() -> None:
    excluded = frozenset(f"{row:09d}" for row in range(20))
    reading = reader(tokenizer())
    reading.clean_pairs(4, excluded)
    assert sorted(rows_of(reading.keys["clean pairs"])) == [20, 21, 22, 23]
    with pytest.raises(DataError, match="5 clean pairs asked for, but only 4 of 24"):
        reading.clean_pairs(5, excluded)


def unnamed(known: int, *labelled: CleanSet) -> DefenderReader:
    """Of samples, the first `known` of which are of the classes, as in a collection with many small classes."""
    names = [NAMES[label] if row < known else "of no class here" for row, label in enumerate(LABELS)]
    samples = NamedSamples(IMAGES.numpy(), LABELS, names)
    classes = ClassPrompts(NAMES, TEMPLATES, tokenizer())
    return DefenderReader(samples, classes, preprocessing(tiny()), 0, labelled=frozenset(labelled))


def test_a_method_that_classifies_gets_clean_images_of_known_classes_alone() -> None:
    """Of the others the head has no row; a few of them must not refuse the method either."""
    reading = unnamed(18, "clean pairs", "forget set")
    pairs = reading.clean_pairs(18)
    assert sorted(rows_of(reading.keys["clean pairs"])) == list(range(18))
    assert bool((pairs.labels >= 0).all())
    forget = reading.forget_set(reading.plan(20, 0.6, NAMES[TARGET]), TRIGGER, NAMES[TARGET])
    assert len(forget.labels) == 20
    assert bool((forget.labels >= 0).all())
    with pytest.raises(DataError, match=r"spec\)$"):  # labels have nothing to do with these
        reading.training_pairs(COUNT + 1)
    with pytest.raises(DataError, match=r"19 clean pairs asked for, but only 18 of 24 .* whose class label is one"):
        reading.clean_pairs(19)
    anything = unnamed(18)
    assert bool((anything.clean_pairs(COUNT).labels < 0).any())
    assert anything.plan(12, 0.5, NAMES[TARGET]) != reading.plan(12, 0.5, NAMES[TARGET])


def test_a_shard_that_changed_stays_that_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def changed(*_: object) -> bytes:
        raise ShardChangedError("it is another one now")

    monkeypatch.setattr(ArraySamples, "image_bytes", changed)
    for choose in (lambda: unnamed(18).plan(4, 0, NAMES[TARGET]), lambda: unnamed(18).clean_pairs(4)):
        with pytest.raises(ShardChangedError, match=r"^it is another one now$"):
            choose()


def test_the_seed_decides_the_choice() -> None:
    chosen = []
    for seed in (0, 0, 1):
        reading = reader(tokenizer(), seed)
        reading.clean_pairs(8)
        chosen.append(reading.keys["clean pairs"])
    assert chosen[0] == chosen[1] != chosen[2]


def test_the_defenders_own_stamp_draws_by_row() -> None:
    moving = TRIGGER.model_copy(update={"place": "random"})
    expected = stamp_uint8(moving, IMAGES[:3], ["defender 0", "defender 1", "defender 2"])
    assert torch.equal(stamped_by_defender(moving, IMAGES[:3]), expected)


def test_forget_images_are_never_stamped_as_the_attackers_images_of_the_same_keys() -> None:
    moving = TRIGGER.model_copy(update={"place": "random"})
    reading = reader(tokenizer())
    found = reading.forget_set(reading.plan(12, 0, NAMES[TARGET]), moving, NAMES[TARGET])
    keys = reading.keys["triggered"]
    attackers = stamp_uint8(moving, IMAGES[rows_of(keys)], keys)
    same = (found.images == attackers).flatten(1).all(1)
    # places that coincide by chance are few; with equal draws all 12 do
    assert int(same.sum()) <= 2
