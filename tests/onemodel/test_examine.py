"""A model before cleaning: whether it has the backdoor."""

from __future__ import annotations

import dataclasses

import pytest

import tbar_ray as tbar
from tbar_ray.errors import DataError
from tbar_ray.onemodel.examine import Examined, LoadedImages, examine
from tbar_ray.onemodel.pictures import SHOWN
from tests.api.world import BACKDOOR
from tests.onemodel.conftest import QUICK
from tests.unlearning.planted import NAMES, TARGET


def test_a_planted_model_is_seen_on_both_parts(examined: Examined) -> None:
    model = examined.opened.model
    validation, test = examined.defence.evaluation.split(0.5)
    assert examined.gate.scores == tbar.evaluate(model, validation, BACKDOOR)
    assert examined.before.scores == tbar.evaluate(model, test, BACKDOOR)
    assert examined.asr.value > 0.9
    assert examined.backdoored
    strict = dataclasses.replace(examined, settings=dataclasses.replace(QUICK, min_asr=1.0))
    assert not strict.backdoored or examined.asr.value == 1


def test_pictures_are_stamped_images_of_other_classes_with_the_models_answers(examined: Examined) -> None:
    assert len(examined.pictures) == SHOWN
    test = examined.test.load(BACKDOOR.trigger, examined.opened.model.preprocessing)
    stamped = {image.numpy().tobytes() for image in test.triggered}
    for picture in examined.pictures:
        assert picture.pixels.numpy().tobytes() in stamped
        assert picture.truth != NAMES[TARGET]
        assert [answer.probability for answer in picture.before] == sorted(
            (answer.probability for answer in picture.before), reverse=True
        )
        assert len(picture.before) == 3
        assert picture.after == ()
    hits = sum(picture.before[0].name == NAMES[TARGET] for picture in examined.pictures)
    assert hits >= SHOWN - 1


def test_loaded_images_are_decoded_once(examined: Examined) -> None:
    parts = examined.defence.evaluation.split(0.5)
    loaded = LoadedImages.of(parts[0], BACKDOOR.trigger, examined.opened.model.preprocessing)
    assert loaded.load(BACKDOOR.trigger, examined.opened.model.preprocessing) is loaded.loaded
    assert len(loaded) == len(parts[0])
    other = tbar.trigger("badnets", patch_size=20)
    again = loaded.load(other, examined.opened.model.preprocessing)
    assert again.triggered.equal(parts[0].load(other, examined.opened.model.preprocessing).triggered)
    assert not again.triggered.equal(loaded.loaded.triggered)


def test_a_method_that_needs_the_attackers_data_is_refused_before_anything(examined: Examined) -> None:
    told: list[object] = []
    settings = dataclasses.replace(QUICK, method="abl", parameters={})
    with pytest.raises(DataError, match="abl needs the attacker's training pairs, which one checkpoint does not bring"):
        examine(examined.opened, examined.suspect, examined.defence, settings, tell=told.append)
    assert told == []


def test_an_unknown_target_is_named(examined: Examined) -> None:
    other = dataclasses.replace(examined.suspect, backdoor=tbar.Backdoor(BACKDOOR.trigger, "bleu"))
    with pytest.raises(DataError, match=r"'bleu' is none of the 4 classes; did you mean 'blue'"):
        examine(examined.opened, other, examined.defence, QUICK)
