"""The scores of one model: those of `evaluate`, class by class, and of retrieval sets."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import tbar_ray as tbar
from tbar_ray.data.synthetic.options import WritingOptions
from tbar_ray.data.synthetic.retrieval_writer import write_retrieval_set
from tbar_ray.errors import DataError
from tbar_ray.onemodel.measure import measure, measure_retrieval
from tests.api.world import BACKDOOR, CLASSES, infected, labelled, unseen, write_benchmark
from tests.models.tiny import GROUP_NORM
from tests.unlearning.planted import NAMES, TARGET


def test_scores_are_those_of_evaluate() -> None:
    model, images = infected(), unseen()
    found = measure(model, images, BACKDOOR)
    scores = tbar.evaluate(model, images, BACKDOOR)
    assert found.scores == scores
    assert (found.ca, found.asr, found.pa) == (scores.ca, scores.asr, scores.pa)
    assert list(found.rates()) == ["ca", "ca_top5", "asr", "asr_all_images", "pa", "baseline"]


def test_classes_and_baseline_are_counted_on_clean_images() -> None:
    model, images = infected(), unseen()
    pixels, labels = labelled(80, 9, model)
    answers, truth = model.predict(pixels, CLASSES), torch.tensor(labels)
    found = measure(model, images, BACKDOOR)
    for number, name in enumerate(NAMES):
        own = answers[truth == number]
        assert found.by_class[name].n == len(own)
        assert found.by_class[name].value == pytest.approx(float((own == number).double().mean()))
    others = answers[truth != TARGET]
    assert found.baseline is not None
    assert (found.baseline.n, found.baseline.value) == (len(others), float((others == TARGET).double().mean()))
    assert found.baseline.value < 0.5 < found.scores.asr.value  # type: ignore[union-attr]


def test_without_a_backdoor_clean_scores_are_the_same() -> None:
    model, images = infected(), unseen()
    found, with_trigger = measure(model, images), measure(model, images, BACKDOOR)
    assert (found.ca, found.ca_top5, found.by_class) == (
        with_trigger.ca, with_trigger.ca_top5, with_trigger.by_class,
    )  # fmt: skip
    assert (found.asr, found.pa, found.baseline) == (None, None, None)
    assert list(found.rates()) == ["ca", "ca_top5"]


def test_a_class_without_images_has_no_rate(tmp_path: Path) -> None:
    images, labels = labelled(8, 9)
    kept = [row for row, label in enumerate(labels) if label != 0]
    place = write_benchmark(tmp_path / "set", images[kept], [labels[row] for row in kept])
    assert list(measure(infected(), tbar.evaluation_set(place)).by_class) == list(NAMES[1:])


def test_retrieval_is_measured_with_and_without_a_trigger(tmp_path: Path) -> None:
    write_retrieval_set(tmp_path, WritingOptions(size=64, workers=1), pairs=20)
    model = tbar.load_model(GROUP_NORM, "scenes", device="cpu")
    plain = measure_retrieval(model, str(tmp_path))
    assert list(plain) == [f"{way}_at_{k}" for way in ("image_to_text", "text_to_image") for k in (1, 5, 10)]
    captioned = next(tmp_path.rglob("*.tar")).read_bytes().decode("latin-1")
    word = next(name for name in ("red circle", "blue circle", "green star", "purple ring") if name in captioned)
    backdoor = tbar.Backdoor(tbar.trigger("badnets"), word)
    both = measure_retrieval(model, str(tmp_path), backdoor)
    assert {name: both[name] for name in plain} == plain
    assert {"caption_asr", "caption_asr_untriggered"} == both.keys() - plain.keys()


def test_an_unknown_target_is_named() -> None:
    with pytest.raises(DataError, match=r"'blu' is none of the 4 classes; did you mean 'blue'"):
        measure(infected(), unseen(8), tbar.Backdoor(BACKDOOR.trigger, "blu"))
